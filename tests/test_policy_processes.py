"""Several processes learn a policy as one does, whole or sharded, and survive SIGKILL of any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from recorded_policy import METHODS, train
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "recorded_policy.py"
HANGS_S = 1_800


def launch(folder: Path, record: Path, method: str, *options: str) -> int:
    """Train in two processes; return the exit status."""
    launching = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    launching += ("--main_process_port", "0", "--num_machines", "1", "--mixed_precision", "no")
    done = subprocess.run(
        [
            *(sys.executable, *launching, "--dynamo_backend", "no", SCRIPT),
            *(folder, record, method, *options),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )
    if done.returncode and "--kill" not in options:
        pytest.fail(done.stderr[-4000:])
    return done.returncode


def measured(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "out" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out" / "model.safetensors")


def assert_close(one: Path, other: Path) -> None:
    """Check that metrics and weights of two runs differ by rounding only."""
    for row, expected in zip(measured(one), measured(other), strict=True):
        assert row == pytest.approx(expected, rel=1e-3, abs=1e-4)
    found, expected_weights = weights(one), weights(other)
    assert found.keys() == expected_weights.keys()
    for name, weight in found.items():
        # Saved in bfloat16, of which neighbours differ by one part in 128.
        torch.testing.assert_close(weight, expected_weights[name], rtol=2e-2, atol=2e-4)


@pytest.fixture(scope="module", params=METHODS)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in one process, with its record; its name is the method."""
    folder = tmp_path_factory.mktemp("one") / request.param
    rows = train(folder, folder / "record", request.param)
    assert rows[0]["kl"] == 0.0 < rows[-1]["kl"]
    return folder


def test_two_processes_follow_one_on_the_same_responses(one: Path, tmp_path: Path) -> None:
    launch(tmp_path, one / "record", one.name)
    assert_close(tmp_path, one)


def test_shards_follow_the_whole_model_on_the_same_responses(one: Path, tmp_path: Path) -> None:
    launch(tmp_path, one / "record", one.name, "--sharded")
    assert_close(tmp_path, one)


@pytest.mark.parametrize(("rank", "options"), [(0, ()), (1, ("--sharded",))])
def test_a_run_resumes_exactly_after_sigkill_of_any_process(
    one: Path, tmp_path: Path, rank: int, options: tuple[str, ...]
) -> None:
    launch(tmp_path / "undisturbed", one / "record", one.name, *options)
    assert launch(tmp_path / "killed", one / "record", one.name, *options, "--kill", str(rank))
    kept = (tmp_path / "killed" / "work" / "metrics.jsonl").read_text().splitlines()
    assert len(kept) == 1
    launch(tmp_path / "killed", one / "record", one.name, *options)
    assert measured(tmp_path / "killed") == measured(tmp_path / "undisturbed")
    found, expected = weights(tmp_path / "killed"), weights(tmp_path / "undisturbed")
    assert all(torch.equal(found[name], expected[name]) for name in expected)
