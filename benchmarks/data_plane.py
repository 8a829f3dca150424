"""How many solutions a second does the pipeline itself label, beside any engine?

    python -m benchmarks.data_plane [--json] [--solutions 10000]

A stub engine answers at once, so that only the pipeline's work counts: steps, requests, journal,
extraction, grading, labels, Parquet, in partitions of ``SHARD_SIZE`` solutions. In turn with it,
distilabel's MathShepherdCompleter and FormatPRM label the same texts from a stub LLM (``pip
install distilabel requests``): as a Pipeline in its best batch setting, and by calling ``process``
directly. Ratios are medians over turns, so that other load on the machine affects both.

distilabel's Pipeline runs each step in its own process. The pipeline is measured in one process,
and in two processes that label partitions side by side, as a backfill does, each on its share of
the cores. The slower of the two counts, from the moment when both have labelled a first solution
and so imported what they need. ``process`` runs in one process and is compared with one process.

The stub engine favours the pipeline: it completes requests in their order, as distilabel's stub
does, and many at a time. So the ratio is also measured with completions in another order, and with
the embedded engine's capacity. The Pipeline's seconds include several seconds of its start. Its
rate after the start comes from the difference to a run of a tenth of the solutions.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from operator import truediv
from statistics import median

from benchmarks.command import Benchmark, Size
from benchmarks.distilabel_peer import distilabel_pipeline, distilabel_process
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import require_package
from benchmarks.stubbed_pipeline import NUM_STEPS, N
from shepherd.settings import EngineSettings

BATCH_SIZES = (200, 1000, 2500, 5000, 10_000)
"""Batch sizes of distilabel's Pipeline; the fastest is measured."""
EMBEDDED_CAPACITY = EngineSettings().batch_size
MIN_RATIO = 20
"""The target: solutions a second as a multiple of distilabel's."""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure both in turns.

    Raises:
        ValueError: distilabel is not installed.
    """
    require_package("distilabel", "pip install distilabel requests")
    # distilabel logs each batch to stdout, which costs it time.
    os.environ.setdefault("DISTILABEL_LOG_LEVEL", "ERROR")
    return measure(options.solutions, options.turns)


@dataclass(frozen=True)
class PipelineRun:
    """Solutions a second and peak memory (MiB) of processes that ran the stubbed pipeline."""

    rate: float
    mib: float


@dataclass(frozen=True)
class Turn:
    """One turn: all ways to label, one after the other.

    ``distilabel_*`` are rates in solutions a second.
    """

    half: PipelineRun
    one_process: PipelineRun
    two_processes: PipelineRun
    shuffled: PipelineRun
    embedded_capacity: PipelineRun
    distilabel_process: float
    distilabel_pipeline: float
    distilabel_after_start: float


def measure(count: int, num_turns: int) -> list[Result]:
    """Run the turns and return medians; memory is the largest of all turns."""
    batch_sizes = sorted({min(size, count) for size in BATCH_SIZES})
    batch_size = min((distilabel_pipeline(count, size), size) for size in batch_sizes * 2)[1]
    turns = [one_turn(count, batch_size) for _ in range(num_turns)]
    one, two, shuffled, embedded = (
        [getattr(turn, name).rate for turn in turns]
        for name in ("one_process", "two_processes", "shuffled", "embedded_capacity")
    )
    process = [turn.distilabel_process for turn in turns]
    pipeline = [turn.distilabel_pipeline for turn in turns]
    after_start = [turn.distilabel_after_start for turn in turns]
    mib, half_mib = (
        max(getattr(turn, name).mib for turn in turns) for name in ("one_process", "half")
    )
    unit = "solutions/s"
    return [
        Result("solutions", count, f"of {NUM_STEPS} + 1 steps, {N} rollouts"),
        Result("ours, one process", round(median(one)), unit),
        Result("ours, two processes", round(median(two)), unit),
        Result("process()", round(median(process)), unit),
        Result(f"Pipeline, batches of {batch_size}", round(median(pipeline)), unit),
        Result("Pipeline, after its start", round(median(after_start)), unit),
        at_least("two processes over the Pipeline", over(two, pipeline), "times", MIN_RATIO),
        Result("two processes over it, out of order", over(shuffled, pipeline), "times"),
        Result(
            f"two processes over it, capacity {EMBEDDED_CAPACITY}",
            over(embedded, pipeline),
            "times",
        ),
        Result("two processes over it, after its start", over(two, after_start), "times"),
        Result("one process over the Pipeline", over(one, pipeline), "times"),
        at_least("one process over process()", over(one, process), "times", 1.0),
        at_most("ours, memory", round(mib), "MiB", round(1.1 * half_mib), round(half_mib)),
    ]


def one_turn(count: int, batch_size: int) -> Turn:
    """Label ``count`` solutions in every way; distilabel's Pipeline has the given batch size."""
    half, one = run_pipeline(count // 2), run_pipeline(count)
    process_seconds = distilabel_process(count)
    two = run_pipeline(count, 2)
    shuffled = run_pipeline(count, 2, ["--shuffled"])
    embedded = run_pipeline(count, 2, ["--capacity", str(EMBEDDED_CAPACITY)])
    pipeline_seconds = distilabel_pipeline(count, batch_size)
    seconds_of_a_tenth = distilabel_pipeline(count // 10, batch_size)
    return Turn(
        half,
        one,
        two,
        shuffled,
        embedded,
        distilabel_process=count / process_seconds,
        distilabel_pipeline=count / pipeline_seconds,
        distilabel_after_start=0.9 * count / (pipeline_seconds - seconds_of_a_tenth),
    )


def over(rates: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over turns of the ratio of two rates."""
    return round(float(median(map(truediv, rates, others))), 2)


def run_pipeline(count: int, num_processes: int = 1, options: Sequence[str] = ()) -> PipelineRun:
    """Run the stubbed pipeline in new processes, each with its share of the solutions and cores."""
    module = "benchmarks.stubbed_pipeline"
    command = [sys.executable, "-m", module, "--solutions", str(count // num_processes), *options]
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
    # All begin at once, after the last of them has imported what it needs.
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("begin\n")
        worker.stdin.flush()
    reports = [worker.communicate()[0].split() for worker in workers]
    assert not any(worker.returncode for worker in workers), "a process of the pipeline failed"
    seconds, mib = (max(map(float, values)) for values in zip(*reports, strict=True))
    return PipelineRun(count // num_processes * num_processes / seconds, mib)


BENCHMARK = Benchmark(
    "data_plane",
    __doc__,
    run,
    sizes=[
        Size("solutions", 10_000, 40, "solutions to label in a turn"),
        Size("turns", 5, 1, "turns; ratios are medians over them"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
