"""Do several workers sample as many times faster, and how soon does a killed one go on?

    python -m benchmarks.scale_out [--json] [--seconds 2]

Workers draw from servers that answer each request after two seconds, so that the time is that of
the client: 1, 2 and 4 workers at batch 32. Then Dagster's daemon runs shards on a PostgreSQL, with
the settings of ``deploy/processes``: one shard undisturbed, and one whose worker is killed.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg

from benchmarks.command import Benchmark, Size
from benchmarks.latency_server import serving
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import require_package
from benchmarks.shard_runs import BATCH, Instance, Shards, instance_in
from resources.engines.openai import OpenAIEngine
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList
from resources.storage.journal import SUFFIX
from shepherd.requests import Request, request_block
from shepherd.settings import OpenAISettings

SHARE_OF_LINEAR = {2: 0.95, 4: 0.90}
"""The least share of linear speed-up, by workers."""

MINUTES_OF_SHARD = 10


def draw(number: int, url: str, num_requests: int, folder: Path, ready: Barrier) -> None:
    """Draw the requests of one worker through a journal, once all workers are ready."""
    requests = [
        Request(f"{number}/{k}", f"question {number} {k // 4}\n", k, 0.7, 64)
        for k in range(num_requests)
    ]
    settings = OpenAISettings(base_urls=(url,), api_key_variable="BENCHMARK_KEY")
    ready.wait()
    draw_completions(
        lambda: OpenAIEngine("owner/model", settings, batch_size=BATCH),
        RequestList(request_block(requests)),
        folder / f"{number}{SUFFIX}",
        fingerprint={},
        description=f"worker {number}",
    )


def completions_per_second(workers: int, num_waves: int, seconds: float, folder: Path) -> float:
    """Return the rate of all workers together, between the first and the last completion."""
    processes = get_context("spawn")
    ready = processes.Barrier(workers)
    folder.mkdir()
    with serving(seconds) as server:
        arguments = [
            (number, server.url, num_waves * BATCH, folder, ready) for number in range(workers)
        ]
        started = [processes.Process(target=draw, args=each) for each in arguments]
        for process in started:
            process.start()
        for process in started:
            process.join()
        if any(process.exitcode for process in started):
            raise RuntimeError("a worker failed: see above")
        times = [when for when, *_ in server.answered]
    # The first wave ends at once: it is the beginning, not work done in that time.
    return (len(times) - workers * BATCH) / (max(times) - min(times))


def speed_ups(options: argparse.Namespace) -> Iterator[Result]:
    """Yield the rate of one worker, and the share of linear speed-up of several."""
    waves, seconds = int(options.waves), float(options.seconds)
    alone = completions_per_second(1, waves, seconds, options.folder / "1")
    yield Result("1 worker", round(alone, 2), "completions/s")
    for workers, target in SHARE_OF_LINEAR.items():
        if workers > options.workers:
            break
        rate = completions_per_second(workers, waves, seconds, options.folder / str(workers))
        share = round(rate / (workers * alone), 3)
        yield at_least(f"{workers} workers", share, "of linear", target, baseline=1.0)


def workers_of_dagster(options: argparse.Namespace) -> Iterator[Result]:
    """Yield Dagster's share of a shard, and what a kill of a worker costs."""
    folder = options.folder / "instance"
    home = options.home or str(folder / "home")
    shards = Shards(home, 2, int(options.problems), float(options.seconds))
    with instance_in(folder, shards) as instance:
        first = instance.wait_for_success(0)
        asked, answered = list(instance.server.asked), list(instance.server.answered)
        around = _seconds_of(instance, first) - (answered[-1][0] - asked[0][0])
        yield Result("seconds of a shard's run around its requests", round(around, 1), "s")
        cpu = round(instance.cpu_seconds.get(0, 0.0), 1)
        yield Result("CPU seconds of that run, with its requests", cpu, "s")
        share = round(100 * around / (60 * MINUTES_OF_SHARD), 2)
        yield at_most(f"the same of a shard of {MINUTES_OF_SHARD} minutes", share, "%", 3.0)
        yield from instance.killed(1, lambda each: os.kill(each.pid, signal.SIGKILL), "worker")


def _seconds_of(instance: Instance, record: dg.RunRecord) -> float:
    """Return the seconds from the launch of a run to its end."""
    launched = instance.opened.get_run_stats(record.dagster_run.run_id).launch_time
    assert record.end_time is not None
    assert launched is not None
    return record.end_time - launched


def run(options: argparse.Namespace) -> list[Result]:
    """Measure workers alone, then under Dagster.

    Raises:
        ValueError: PostgreSQL or Dagster's package for it is not installed.
    """
    require_package("dagster_postgres", "pip install -c constraints.txt -e '.[scale]'")
    results = list(speed_ups(options))
    results += workers_of_dagster(options)
    return results


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the home that Dagster's workers write."""
    parser.add_argument(
        "--home",
        metavar="DIR",
        help="empty home of the shards, also s3://BUCKET/PREFIX (default: a temporary folder)",
    )


BENCHMARK = Benchmark(
    "scale_out",
    __doc__,
    run,
    [
        Size("seconds", 2.0, 0.3, "seconds in which a server answers a request"),
        Size("waves", 30, 3, "batches that each worker draws"),
        Size("workers", 4, 2, "workers at most"),
        Size("problems", 24, 8, "problems of the two shards that Dagster runs"),
    ],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
