"""The pipeline from solutions to labels on an engine that answers at once, in its own process.

    python -m benchmarks.stubbed_pipeline --solutions 10000

:mod:`benchmarks.data_plane` starts this command and reads its two lines: ``ready``, then, after a
line on stdin, the seconds and the peak memory in MiB.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.stage import CompletionModel, Shard
from resources.storage.lake import Lake
from shepherd.annotators.annotator import LabelInputs
from shepherd.annotators.monte_carlo import MonteCarloSettings
from shepherd.labels import labeled_solutions
from shepherd.requests import REQUESTS
from shepherd.rollouts import split_solutions
from shepherd.schemas import LABELED_SOLUTIONS, PROBLEMS, ROLLOUTS, SOLUTIONS, STEP_LABELS
from shepherd.settings import SamplingSettings

NUM_STEPS = 4
"""Steps of a solution before its last step; these need rollouts."""
N = 8
"""Rollouts of a prefix."""
GOLD = "18"
RIGHT_ROLLOUT = "Step 3: 9 * 2 = 18.\nThe answer is: 18"
WRONG_ROLLOUT = "Step 3: 9 * 2 = 17.\nThe answer is: 17"
TEXTS = pl.Series([RIGHT_ROLLOUT, WRONG_ROLLOUT])
SHARD_SIZE = 2500
"""Solutions of a partition, which memory holds at a time."""
CAPACITY = 8192
"""Capacity of the stub engine. The pipeline queues twice as many requests, which is about the
number of requests in a batch of distilabel's."""


class StubEngine:
    """An engine that answers every request at once; one answer in four is wrong.

    ``shuffled`` returns completions in another order than the requests.
    """

    def __init__(self, capacity: int, *, shuffled: bool) -> None:
        self.capacity = capacity
        self._queue = REQUESTS.to_frame()
        self._shuffled = shuffled

    def add(self, requests: pl.DataFrame) -> None:
        """Queue requests."""
        self._queue = pl.concat([self._queue, requests])

    def poll(self) -> pl.DataFrame:
        """Return the completions of all queued requests."""
        queued, self._queue = self._queue, self._queue.clear()
        if self._shuffled:
            queued = queued.select("id", "seed").sample(fraction=1, shuffle=True, seed=0)
        is_miss = (queued["seed"] % 4 == 0).cast(pl.Int64)
        return queued.select(
            request_id="id",
            text=TEXTS[is_miss],
            finish_reason=pl.lit("stop"),
            prompt_tokens=pl.lit(50, pl.Int64),
            cached_tokens=pl.lit(40, pl.Int64),
            num_tokens=pl.lit(20, pl.Int64),
            seconds=pl.lit(0.0),
            error=pl.lit(None, pl.String),
            thought_tokens=pl.lit(0, pl.Int64),
        )

    def close(self) -> None:
        """Do nothing: the stub holds no resources."""


def solutions_of(count: int, first: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return problems with ids from ``first`` on, and one solution of each."""
    ids = [f"{index:06d}" for index in range(first, first + count)]
    text = "".join(f"Step {k}: 1 + {k} = {k + 1}.\n" for k in range(1, NUM_STEPS + 1))
    texts = [f"{text}Step 5: {i} is done.\nThe answer is: {GOLD}" for i in ids]
    problems = pl.DataFrame(
        {
            "problem_id": ids,
            "dataset": "stub",
            "split": "train",
            "question": [f"How many is {i}?" for i in ids],
            "gold_solution": None,
            "gold_answer": GOLD,
            "level": None,
            "subject": None,
        },
        schema=PROBLEMS.schema,
    )
    solutions = pl.DataFrame(
        {
            "solution_id": ids,
            "problem_id": ids,
            "generator": "stub",
            "text": texts,
            "answer": GOLD,
            "is_correct": True,
            "grade_reason": "exact",
            "num_samples": 1,
            "finish_reason": "stop",
            "num_tokens": 60,
            "seed": 1,
        },
        schema=SOLUTIONS.schema,
    )
    return problems, solutions


def label_all(count: int, folder: Path, open_engine: Callable[[], StubEngine]) -> float:
    """Label ``count`` solutions, partition after partition; return the seconds."""
    seconds = 0.0
    for first in range(0, count, SHARD_SIZE):
        problems, solutions = solutions_of(min(SHARD_SIZE, count - first), first)
        started = time.perf_counter()
        label_shard(problems, solutions, folder, f"{first // SHARD_SIZE:03d}", open_engine)
        seconds += time.perf_counter() - started
    return seconds


def label_shard(
    problems: pl.DataFrame,
    solutions: pl.DataFrame,
    folder: Path,
    key: str,
    open_engine: Callable[[], StubEngine],
) -> None:
    """Do what the assets from ``steps`` to ``labeled_solutions`` do in one partition."""
    completer = CompletionModel("completer", "plain", {"weights": "stub"}, open_engine)
    settings = MonteCarloSettings(num_rollouts=N)
    lake, shard = Lake(folder / "lake"), Shard("stub", key, folder / "journals", 0)
    steps = split_solutions(solutions)
    stage = rollout_stage(completer, SamplingSettings(), shard)
    written = WrittenSolutions(problems, solutions, steps)
    drawn = draw_rollouts(stage, written, [settings.annotator()])
    lake.write(ROLLOUTS, drawn.frame, "stub", key)
    stage.journal.unlink()
    labels = settings.label_steps(LabelInputs(steps, solutions, problems, drawn.frame))
    lake.write(STEP_LABELS, labels, "stub", key)
    labeled = labeled_solutions(solutions, steps, labels, problems)
    lake.write(LABELED_SOLUTIONS, labeled, "stub", key)
    assert labeled.height == solutions.height
    assert drawn.frame.height == solutions.height * NUM_STEPS * N


def peak_mib() -> float:
    """Return the peak memory of this process in MiB (getrusage includes the parent's at fork)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Report ready on stdout, wait for a line on stdin, label, and print seconds and MiB."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stubbed_pipeline", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--solutions", type=int, default=10_000, help="solutions to label")
    parser.add_argument(
        "--shuffled", action="store_true", help="complete requests in another order than they came"
    )
    parser.add_argument(
        "--capacity", type=int, default=CAPACITY, help="requests that the stub takes at a time"
    )
    options = parser.parse_args()
    open_engine = partial(StubEngine, options.capacity, shuffled=options.shuffled)
    with tempfile.TemporaryDirectory() as temporary:
        # A first solution imports what polars imports on its first use.
        label_all(1, Path(temporary) / "first", open_engine)
        print("ready", flush=True)
        sys.stdin.readline()
        seconds = label_all(options.solutions, Path(temporary), open_engine)
    print(seconds, peak_mib())


if __name__ == "__main__":
    main()
