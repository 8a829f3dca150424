"""What a user gets wrong: one line that says what to do, and a lake that is as before."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.app import main

ROOT = Path(__file__).parent.parent
TINY = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())


HANGS_S = 1_800
"""Seconds after which a process counts as hanging, on the busiest machine."""


def contents(lake: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in lake.rglob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment's home, with problems of the tiny profile's dataset in two shards."""
    from resources.files.problems import load_problems
    from resources.storage.lake import Lake
    from shepherd.identity import shard_of
    from shepherd.schemas import PROBLEMS
    from shepherd.settings import Settings

    settings = Settings.model_validate(TINY)
    lake = Lake(tmp_path / "home" / "lake")
    lake.check_shards(settings)
    [(name, dataset)] = settings.datasets.items()
    problems, _ = load_problems(name, dataset, settings.seed)
    keys = [shard_of(problem_id, settings.shards) for problem_id in problems["problem_id"]]
    for key in sorted(set(keys)):
        lake.write(PROBLEMS, problems.filter([k == key for k in keys]), name, key)
    # `shepherd run` sets them too, and monkeypatch restores them.
    monkeypatch.setenv("SHEPHERD_PROFILE", "tiny")
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    return tmp_path / "home"


def changed(tmp_path: Path, **fields: object) -> Path:
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump({**TINY, **fields}))
    return path


def malformed(tmp_path: Path) -> dict[str, object]:
    good = '{"question": "What is 1 + 1?", "answer": "#### 2"}\n'
    (tmp_path / "train.jsonl").write_text(good + '{"question": "What is 2 + 2?"}\n')
    (tmp_path / "test.jsonl").write_text('{"question": "What is 3 + 3?", "answer": "#### 6"}\n')
    return {
        "school": {
            "source": "gsm8k",
            "train": str(tmp_path / "train.jsonl"),
            "test": str(tmp_path / "test.jsonl"),
        }
    }


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shards": 8}, ["shards is 8", "2 shards", "SHEPHERD_HOME"]),
        ({"completer": {"base": "base-huge"}}, ["base-huge", "correct `base`"]),
        ({"datasets": {"words": {"source": "mathqa"}}}, ["datasets.words.source", "mathqa"]),
        (
            {"generators": {"rollouts": TINY["completer"]}, "policies": {}},
            ["generators.rollouts", "another"],
        ),
        (None, ["train.jsonl", "line 2", "answer"]),
    ],
    ids=["shards", "model", "dataset", "name", "row"],
)
def test_a_wrong_profile_or_row(
    home: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    fields: dict[str, object] | None,
    says: list[str],
) -> None:
    profile = changed(tmp_path, **(fields or {"datasets": malformed(tmp_path)}))
    before = contents(home / "lake")
    code = main(["run", "--profile", str(profile)])
    errors = capfd.readouterr().err
    assert code == 2, errors
    [line] = errors.splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in says), line
    after = contents(home / "lake")
    assert {name: after[name] for name in before if not name.endswith("shards.json")} == {
        name: data for name, data in before.items() if not name.endswith("shards.json")
    }
    assert after.keys() - before.keys() == set()


def test_a_profile_that_does_not_exist(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", "--profile", "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "no profile 'nothing'" in line
    assert "demo" in line
