"""Runs that are killed, shared among processes or repeated follow the same curve."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from resources.storage.model_store import BASE_MODELS
from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, write_solution
from tests.written import flawed_solutions
from training.checkpoints import Checkpoints
from training.command_line import flags_of
from training.curves import CurveWriter
from training.model_files import join_processes
from training.orm import train_orm
from training.prm import train_prm
from training.runs import TrainingRun
from training.sft import train_sft

ROOT = Path(__file__).parent.parent
HANGS_S = 1_800
"""Seconds after which a process counts as hanging, on the busiest machine."""
CURVES = Path(__file__).parent / "snapshots" / "losses.json"
SETTINGS = TrainingSettings(
    epochs=8,
    learning_rate=1e-3,
    batch_size=16,
    max_length=192,
    lm_weight=0.1,
    checkpoint_steps=5,
    evaluation_steps=10,
)
SHORT = SETTINGS.model_copy(update={"epochs": 2})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "examples.parquet"
    flawed_solutions(80).write_parquet(path)
    return path


def command(base: Path, data: Path, out: Path, settings: TrainingSettings) -> list[str]:
    """The arguments of a run that evaluates on what it trains on."""
    return [
        *("-m", "training", "prm", "--base", str(base), "--data", str(data)),
        *("--held-out", str(data), "--out", str(out), *flags_of(settings)),
    ]


def train(base: Path, data: Path, out: Path, settings: TrainingSettings = SETTINGS) -> Any:
    """The same run in this process."""
    plan = pl.scan_parquet(data)
    return train_prm(
        TrainingRun(base, plan, out, settings, template="plain", seed=0, held_out=plan)
    )


@pytest.fixture(scope="module")
def whole(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder and the report of an undisturbed run with ``SETTINGS``."""
    out = tmp_path_factory.mktemp("undisturbed") / "whole"
    return out, train(base, data, out)


def curve(folder: Path, name: str = "train/loss") -> list[float]:
    """A curve as TensorBoard reads it."""
    events = EventAccumulator(str(folder / "runs"))
    events.Reload()
    return [event.value for event in events.Scalars(name)]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_losses_and_weights(
    base: Path, data: Path, whole: tuple[Path, Any], tmp_path: Path
) -> None:
    undisturbed_out, undisturbed = whole
    out, work = tmp_path / "killed", tmp_path / ".killed.training"
    arguments = command(base, data, out, SETTINGS)
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + HANGS_S
    while not (work / "checkpoint" / "progress.json").is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    time.sleep(1)  # TensorBoard reads curves in the order of the seconds that they begin in

    resumed = train(base, data, out)
    assert 0 < resumed.first_step < resumed.num_steps == 40
    assert resumed.losses == undisturbed.losses
    assert resumed.evaluations == undisturbed.evaluations
    weights = [load_file(folder / "model.safetensors") for folder in (out, undisturbed_out)]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert curve(out) == undisturbed.losses
    assert len(curve(out, "validation/auc")) == len(undisturbed.evaluations) == 4
    assert not work.exists()


def test_the_checkpoint_of_another_run_is_not_resumed(
    base: Path, data: Path, tmp_path: Path
) -> None:
    out, work, failed = tmp_path / "prm", tmp_path / ".prm.training", tmp_path / "failed"
    fail_at_a_checkpoint(base, data, out)
    found = json.loads((work / "checkpoint" / "progress.json").read_text())
    assert found["first_step"] == 5
    work.rename(failed)
    changed = [
        SHORT.model_copy(update={"learning_rate": 2e-3}),
        SHORT.model_copy(update={"loss": "mse"}),
    ]
    for settings in changed:
        shutil.copytree(failed, work)
        assert train(base, data, out, settings).first_step == 0
    shutil.copytree(failed, work)
    fewer = tmp_path / "fewer.parquet"
    pl.read_parquet(data)[1:].write_parquet(fewer)
    assert train(base, fewer, out, SHORT).first_step == 0
    shutil.copytree(failed, work)
    faster = {"tokens_per_pass": 4096, "checkpoint_steps": 3, "evaluation_steps": 2}
    assert train(base, data, out, SHORT.model_copy(update=faster)).first_step == 5
    shutil.copytree(failed, work)
    reversed_rows = tmp_path / "reversed.parquet"
    pl.read_parquet(data).reverse().write_parquet(reversed_rows)
    report = train_prm(
        TrainingRun(
            base,
            pl.scan_parquet(reversed_rows),
            out,
            SHORT,
            template="plain",
            seed=0,
            held_out=pl.scan_parquet(data),
        )
    )
    assert report.first_step == 5  # the same examples in another order


@pytest.mark.parametrize("content", ["", "\0" * 40], ids=["empty", "zeros"])
def test_progress_that_a_power_cut_emptied_is_named_and_not_resumed_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "checkpoint" / "progress.json"
    path.parent.mkdir()
    path.write_text(content)
    assert Checkpoints(path.parent, "run").restore(join_processes()) is None
    assert f"{path}: is no JSON, as after a power cut" in capsys.readouterr().out


def test_curves_stay_in_the_work_folder_until_the_model_is_in_place(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    curves = CurveWriter(tmp_path / "work", 0)
    curves.write(0, {"train/loss": 0.5})
    curves.close()
    curves.copy_to(tmp_path / "out")
    assert curve(tmp_path / "work") == curve(tmp_path / "out") == [0.5]


def fail_at_a_checkpoint(base: Path, data: Path, out: Path) -> None:
    """Leave a run in its sixth step, as one that fails."""
    save = Checkpoints.save

    def save_and_fail(*arguments: Any) -> None:
        save(*arguments)
        raise OSError("no space left")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_fail)
        with pytest.raises(OSError, match="no space"):
            train(base, data, out, SHORT)


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(
    base: Path, data: Path, whole: tuple[Path, Any], tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"tokens_per_pass": 400})
    arguments = command(base, data, tmp_path / "two", settings)
    launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    launch += ("--main_process_port", "0", "--num_machines", "1", "--mixed_precision", "no")
    done = subprocess.run(
        [sys.executable, *launch, "--dynamo_backend", "no", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("40 steps on 80 examples") == 1
    _, one = whole
    assert curve(tmp_path / "two") == pytest.approx(one.losses, rel=2e-3, abs=1e-4)
    assert curve(tmp_path / "two")[:5] == pytest.approx(one.losses[:5], rel=1e-5)
    assert curve(tmp_path / "two", "validation/loss") == pytest.approx(
        [figures["loss"] for figures in one.evaluations], rel=2e-3, abs=1e-4
    )


def test_the_first_losses_are_those_recorded(data: Path, tmp_path: Path) -> None:
    """To accept a change: UPDATE_SNAPSHOTS=1 pytest tests/test_training_runs.py, then review."""
    few = TrainingSettings(epochs=1, learning_rate=2e-4, batch_size=10, max_length=192)
    prm = pl.read_parquet(data)
    orm = prm.with_columns(
        steps=pl.concat_list(pl.col("steps").list.join("")), labels=pl.col("labels").list.tail(1)
    )
    rng = random.Random(0)
    gold = pl.DataFrame(
        [(p.question, write_solution(p, rng)) for p in draw_problems(5, "train", 80)],
        schema=["question", "solution"],
        orient="row",
    )
    runs = {
        f"{name} {base}": trainer(
            TrainingRun(
                BASE_MODELS / base, examples, tmp_path / name, few, template="plain", seed=0
            )
        )
        for name, trainer, base, examples in (
            ("sft", train_sft, "base-small", gold),
            ("orm", train_orm, "base-small", orm),
            ("prm", train_prm, "base-small", prm),
        )
    }
    losses = {name: [round(loss, 5) for loss in report.losses] for name, report in runs.items()}
    if os.environ.get("UPDATE_SNAPSHOTS"):
        lines = (f'"{name}": {json.dumps(values)}' for name, values in losses.items())
        CURVES.write_text("{\n  " + ",\n  ".join(lines) + "\n}\n")
    recorded = json.loads(CURVES.read_text())
    assert losses.keys() == recorded.keys()
    for name, values in losses.items():
        assert values == pytest.approx(recorded[name], rel=0.01, abs=1e-3), name


def test_a_checkpoint_is_on_the_disk_before_it_replaces_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[int] = set()
    missing: list[Path] = []
    rename = Path.rename

    def check_and_rename(path: Path, target: Path) -> Path:
        files = (path, *path.rglob("*"))
        missing.extend(file for file in files if file.stat().st_ino not in flushed)
        return rename(path, target)

    accelerator = join_processes()
    monkeypatch.setattr(os, "fsync", lambda file: flushed.add(os.fstat(file).st_ino))
    monkeypatch.setattr(Path, "rename", check_and_rename)
    progress = {"first_step": 1, "losses": [0.5], "evaluations": []}
    Checkpoints(tmp_path / "saved", "run").save(accelerator, progress)
    assert (tmp_path / "saved" / "progress.json").stat().st_ino in flushed
    assert tmp_path.stat().st_ino in flushed
    assert missing == []
