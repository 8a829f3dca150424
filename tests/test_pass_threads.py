"""Passes that are computed side by side change gradients and scores by rounding only."""

import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import nn

from shepherd.memory import SMALL_BYTES
from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, write_solution
from training import pass_threads
from training.pass_threads import PassThreads, num_threads
from training.prm import train_prm
from training.runs import TrainingReport, TrainingRun
from training.scoring import Scorer

SETTINGS = TrainingSettings(
    epochs=1, learning_rate=1e-3, batch_size=8, max_length=200, tokens_per_pass=200
)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def labelled() -> pl.DataFrame:
    rows = []
    for index, problem in enumerate(draw_problems(0, "train", 22)):
        steps = [f"{line}\n" for line in write_solution(problem, random.Random(index)).split("\n")]
        rows.append((problem.question, steps, [float(index % 3 > 0)] * len(steps)))
    return pl.DataFrame(rows, schema=["question", "steps", "labels"], orient="row")


def trained(base: Path, out: Path) -> TrainingReport:
    rows = labelled()
    run = TrainingRun(base, rows.head(16), out, SETTINGS, seed=0, held_out=rows.tail(6))
    return train_prm(run)


@pytest.mark.usefixtures("two_threads")
def test_two_threads_train_and_score_as_one(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side_by_side = trained(base, tmp_path / "two")
    again = trained(base, tmp_path / "again")
    assert side_by_side.losses == again.losses, "the order of sums does not depend on the clock"
    rows = labelled()
    questions, steps = rows["question"].to_list(), rows["steps"].to_list()
    scorer = Scorer(tmp_path / "two", kind="process", template="plain")
    assert scorer._reader._threads is not None
    scores = scorer.score(questions, steps)
    monkeypatch.setattr(pass_threads, "SMALL_BYTES", 0)
    one_by_one = trained(base, tmp_path / "one")
    assert side_by_side.losses == pytest.approx(one_by_one.losses, rel=1e-4)
    for measured, expected in zip(side_by_side.evaluations, one_by_one.evaluations, strict=True):
        assert measured == pytest.approx(expected, rel=1e-3)
    alone = Scorer(tmp_path / "two", kind="process", template="plain")
    assert alone._reader._threads is None
    for read, expected in zip(scores, alone.score(questions, steps), strict=True):
        assert read == pytest.approx(expected, abs=1e-5)


def test_gradients_add_up_and_a_parameter_may_have_none() -> None:
    used, unused = (nn.Parameter(torch.ones(2)) for _ in range(2))
    used.grad = torch.ones(2)
    passes = [[lambda: 2 * used.sum(), used.sum], [lambda: 4 * used.sum()]]
    total = PassThreads(2).backward([used, unused], passes)
    assert total == 14
    assert used.grad.tolist() == [8, 8]
    assert unused.grad is None


@pytest.mark.usefixtures("two_threads")
def test_only_small_models_on_a_cpu_compute_passes_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0))
    assert num_threads(model, cpu) == 2
    assert num_threads(model, torch.device("cuda")) == 1
    assert num_threads(nn.Sequential(model, nn.Dropout(0.1)), cpu) == 1
    with torch.device("meta"):
        assert num_threads(nn.Linear(SMALL_BYTES // 4, 1), cpu) == 1
    torch.set_num_threads(1)
    assert num_threads(model, cpu) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert num_threads(model, cpu) == pass_threads.MOST_THREADS
