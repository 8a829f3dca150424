"""From completed texts to graded, labelled Parquet: what the pipeline itself costs.

    python -m benchmarks.data_plane [--json] [--solutions 10000]

A stub engine answers at once, so that only our own work is measured: steps, requests, journal,
extraction, grading, labels, Parquet, in partitions of ``SHARD`` solutions. Side by side, in turns
of this run, distilabel's MathShepherdCompleter and FormatPRM on the same texts from a stub LLM
(``pip install distilabel requests``): as a Pipeline in its best batch setting, and its ``process``
called directly. Ratios are medians over turns, so that another load on the machine weighs on both.

distilabel's Pipeline runs each step in a process of its own. Ours is measured in one process, and
in two that label partitions side by side, as the runs of a backfill do, each on its part of the
cores: the slower counts, from when both have labelled a first solution, and so imported what they
need. ``process`` is one process, and is compared with one.

Ours is favoured where engines are not: the stub answers in the order of the requests, as
distilabel's does, and many at a time. What it takes with answers out of order and at the embedded
engine's capacity is told as well. So is how fast the Pipeline is once it has begun, from what a
tenth of the solutions takes: of its seconds, which count in full, several are its start.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from benchmarks.report import Result, at_least, at_most, main
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.stage import CompletionModel, Shard
from resources.storage.lake import Lake
from shepherd.annotators.annotator import LabelInputs
from shepherd.annotators.monte_carlo import MonteCarloSettings
from shepherd.labels import labeled_solutions
from shepherd.requests import REQUESTS
from shepherd.rollouts import split_solutions
from shepherd.schemas import LABELED_SOLUTIONS, PROBLEMS, ROLLOUTS, SOLUTIONS, STEP_LABELS
from shepherd.settings import EngineSettings, SamplingSettings

NUM_STEPS = 4
"""Steps before the last, which need rollouts."""
N = 8
GOLD = "18"
ROLLOUT = "Step 3: 9 * 2 = 18.\nThe answer is: 18"
MISS = "Step 3: 9 * 2 = 17.\nThe answer is: 17"
TEXTS = pl.Series([ROLLOUT, MISS])
SHARD = 2500
"""Solutions of a partition, which is what is held in memory at a time."""
BATCH_SIZES = (200, 1000, 2500, 5000, 10_000)
CAPACITY = 8192
"""Of the stub. Twice as many requests are queued: about those of a batch of distilabel's."""
FEW = EngineSettings().batch_size
"""The capacity of the embedded engine."""
TURNS = 5
TIMES = 20
"""How many times distilabel's solutions per second we aim at."""


class StubEngine:
    """Answers every request at once; one in four is wrong."""

    def __init__(self, capacity: int, *, shuffled: bool) -> None:
        self.capacity = capacity
        self._queue = REQUESTS.to_frame()
        self._shuffled = shuffled

    def add(self, requests: pl.DataFrame) -> None:
        """Queue requests."""
        self._queue = pl.concat([self._queue, requests])

    def poll(self) -> pl.DataFrame:
        """Return all that is queued, in its order or in another."""
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
        )

    def close(self) -> None:
        """Nothing to free."""


def solutions_of(count: int, first: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return problems, numbered from ``first``, and one solution of each."""
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


def ours(count: int, folder: Path, open_engine: Callable[[], StubEngine]) -> float:
    """Return the seconds from solutions to labelled Parquet, partition after partition."""
    seconds = 0.0
    for first in range(0, count, SHARD):
        problems, solutions = solutions_of(min(SHARD, count - first), first)
        started = time.perf_counter()
        label_shard(problems, solutions, folder, f"{first // SHARD:03d}", open_engine)
        seconds += time.perf_counter() - started
    return seconds


def label_shard(
    problems: pl.DataFrame,
    solutions: pl.DataFrame,
    folder: Path,
    key: str,
    open_engine: Callable[[], StubEngine],
) -> None:
    """Do what the assets from steps to labelled solutions do in one partition."""
    completer = CompletionModel("completer", "plain", {"weights": "stub"}, open_engine)
    settings, sampling = MonteCarloSettings(num_rollouts=N), SamplingSettings()
    lake, shard = Lake(folder / "lake"), Shard("stub", key, folder / "journals", 0)
    steps = split_solutions(solutions)
    stage = rollout_stage(completer, sampling, shard)
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


def distilabel_process(count: int) -> float:
    """Return the seconds of both tasks' ``process`` called directly on all solutions at once."""
    from distilabel.steps import ExpandColumns
    from distilabel.steps.tasks import FormatPRM, MathShepherdCompleter

    completer = MathShepherdCompleter(llm=stub_llm(), N=N)
    expander, formatter = ExpandColumns(columns=["solutions"]), FormatPRM()
    for step in (completer, expander, formatter):
        step.load()
    rows = distilabel_rows(count)
    started = time.perf_counter()
    [completed] = completer.process(rows)
    [expanded] = expander.process(completed)
    [labelled] = formatter.process(expanded)
    seconds = time.perf_counter() - started
    assert len(labelled) == count
    return seconds


def distilabel_pipeline(count: int, batch_size: int) -> float:
    """Return the seconds of a Pipeline of both tasks, from its start to its dataset."""
    from distilabel.pipeline import Pipeline
    from distilabel.steps import ExpandColumns, LoadDataFromDicts
    from distilabel.steps.tasks import FormatPRM, MathShepherdCompleter

    with Pipeline(name="data-plane") as pipeline:
        load = LoadDataFromDicts(data=distilabel_rows(count), batch_size=batch_size)
        completer = MathShepherdCompleter(llm=stub_llm(), N=N, input_batch_size=batch_size)
        expander = ExpandColumns(columns=["solutions"], input_batch_size=batch_size)
        formatter = FormatPRM(input_batch_size=batch_size)
        load >> completer >> expander >> formatter
    started = time.perf_counter()
    distiset = pipeline.run(use_cache=False)
    seconds = time.perf_counter() - started
    assert len(distiset["default"]["train"]) == count
    return seconds


def distilabel_rows(count: int) -> list[dict[str, object]]:
    """Return the same problems and solutions as distilabel takes them."""
    problems, solutions = solutions_of(count)
    return [
        {
            "instruction": question,
            "solutions": [text.splitlines()],
            "golden_solution": [f"The answer is: {GOLD}"],
        }
        for question, text in zip(problems["question"], solutions["text"], strict=True)
    ]


def stub_llm() -> Any:
    """Return a distilabel LLM that answers every input with the same N completions."""
    from benchmarks.distilabel_stub import StubLLM

    return StubLLM(answer="---".join([ROLLOUT] * (N - N // 4) + [MISS] * (N // 4)))


def measure(count: int) -> list[Result]:
    """Time both in turns, ours in processes of their own to see their memory."""
    best = min((distilabel_pipeline(count, size), size) for size in BATCH_SIZES * 2)[1]
    half, alone, side_by_side, out_of_order, few, process, pipeline, begun = ([] for _ in range(8))
    for _ in range(TURNS):
        half.append(run_ours(count // 2))
        alone.append(run_ours(count))
        process.append(count / distilabel_process(count))
        side_by_side.append(run_ours(count, 2))
        out_of_order.append(run_ours(count, 2, ["--shuffled"]))
        few.append(run_ours(count, 2, ["--capacity", str(FEW)]))
        seconds = distilabel_pipeline(count, best)
        pipeline.append(count / seconds)
        begun.append(0.9 * count / (seconds - distilabel_pipeline(count // 10, best)))
    one, two, shuffled, fewer = (
        [run.rate for run in runs] for runs in (alone, side_by_side, out_of_order, few)
    )
    mib, half_mib = (max(run.mib for run in runs) for runs in (alone, half))
    return [
        Result("solutions", count, f"of {NUM_STEPS} + 1 steps, {N} rollouts"),
        Result("ours, one process", round(median(one)), "solutions/s"),
        Result("ours, two processes", round(median(two)), "solutions/s"),
        Result("process()", round(median(process)), "solutions/s"),
        Result(f"Pipeline, batches of {best}", round(median(pipeline)), "solutions/s"),
        Result("Pipeline, once it has begun", round(median(begun)), "solutions/s"),
        at_least("two processes over the Pipeline", over(two, pipeline), "times", TIMES),
        Result("two processes over it, out of order", over(shuffled, pipeline), "times"),
        Result(f"two processes over it, capacity {FEW}", over(fewer, pipeline), "times"),
        Result("two processes over it, once it has begun", over(two, begun), "times"),
        Result("one process over the Pipeline", over(one, pipeline), "times"),
        at_least("one process over process()", over(one, process), "times", 1.0),
        at_most("ours, memory", round(mib), "MiB", round(1.1 * half_mib), round(half_mib)),
    ]


def over(rates: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over turns of the ratio of two rates."""
    return round(float(median(map(truediv, rates, others))), 2)


@dataclass(frozen=True)
class Run:
    """Solutions per second and peak memory of processes that ran :func:`ours`."""

    rate: float
    mib: float


def run_ours(count: int, num_processes: int = 1, options: Sequence[str] = ()) -> Run:
    """Run :func:`ours` in processes of its own, each with its part of the solutions."""
    command = [sys.executable, "-m", "benchmarks.data_plane", "--ours", str(count // num_processes)]
    command += options
    pipe = subprocess.PIPE
    cores = sorted(os.sched_getaffinity(0))
    workers = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(num_processes)
    ]
    for index, worker in enumerate(workers):
        os.sched_setaffinity(worker.pid, cores[index::num_processes] or cores)
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    # All begin at once, when the last of them has imported what it needs.
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("begin\n")
        worker.stdin.flush()
    told = [worker.communicate()[0].split() for worker in workers]
    assert not any(worker.returncode for worker in workers), "a process of ours failed"
    seconds, mib = (max(map(float, values)) for values in zip(*told, strict=True))
    return Run(count // num_processes * num_processes / seconds, mib)


def peak_mib() -> float:
    """Return this process's peak memory. What getrusage tells includes its parent's at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--solutions", type=int, default=10_000)
    parser.add_argument(
        "--ours", type=int, help="only run ours on so many, at a line on stdin; seconds and MiB"
    )
    parser.add_argument("--shuffled", action="store_true", help="with --ours: out of order")
    parser.add_argument("--capacity", type=int, default=CAPACITY, help="with --ours: the stub's")
    arguments = parser.parse_args()
    if arguments.ours:
        with tempfile.TemporaryDirectory() as temporary:
            # What polars imports when it is first needed is imported here as well.
            open_engine = partial(StubEngine, arguments.capacity, shuffled=arguments.shuffled)
            ours(1, Path(temporary) / "first", open_engine)
            print("ready", flush=True)
            sys.stdin.readline()
            seconds = ours(arguments.ours, Path(temporary), open_engine)
        print(seconds, peak_mib())
    elif find_spec("distilabel") is None:
        parser.error("distilabel is not installed: pip install distilabel requests")
    else:
        # It tells of each batch on stdout, which takes time as well.
        os.environ.setdefault("DISTILABEL_LOG_LEVEL", "ERROR")
        main("data_plane", lambda: measure(arguments.solutions))
