"""Do several workers sample as many times faster, and how soon does a killed one go on?

    python -m benchmarks.scale_out [--json] [--seconds 2]

Workers draw from servers that answer each request after two seconds, so that the time is that of
the client: 1, 2 and 4 workers at batch 32. Then Dagster's daemon runs shards on a PostgreSQL, with
the settings of ``deploy/processes``: one shard undisturbed, and one whose worker is killed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from unittest import mock

import dagster as dg
import yaml

from assets.run_processes import process_of
from benchmarks.cluster import DEPLOY, ROOT, daemon, postgres
from benchmarks.command import Benchmark, Size
from benchmarks.latency_server import LatencyServer, serving
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import require_package
from resources.engines.openai import OpenAIEngine
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList
from resources.storage.journal import SUFFIX
from shepherd.requests import Request, request_block
from shepherd.settings import OpenAISettings

BATCH = 32
"""Requests that each worker has in flight."""

SHARE_OF_LINEAR = {2: 0.95, 4: 0.90}
"""The least share of linear speed-up, by workers."""

MINUTES_OF_SHARD = 10
ANSWERS_BEFORE_KILL = BATCH + BATCH // 2
"""Answers that a worker gets before it is killed. Its other requests wait, so that it is killed
while it draws: a worker that has drawn everything would leave its retry nothing to ask."""

SECONDS_TO_JOURNAL = 1.0
"""What was answered so long before a kill is in the journal."""

STDERR = 2
"""The descriptor of standard error: standard output is for the results."""

SECONDS_UNTIL_STUCK = 600.0
"""The longest wait for a run, on a busy machine."""


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


@dataclass
class Instance:
    """An instance of Dagster on PostgreSQL with its daemon, and one profile."""

    server: LatencyServer
    opened: dg.DagsterInstance
    cpu_seconds: dict[int, float] = field(default_factory=dict)
    """Of the process of each sampling run, by the run's number: when they were last looked at."""

    def sampling_runs(self) -> list[dg.RunRecord]:
        """Return the runs of shards, the first one first."""
        records = self.opened.get_run_records(ascending=True)
        chosen = dg.AssetKey("rollouts")
        return [each for each in records if chosen in (each.dagster_run.asset_selection or ())]

    def wait_for_success(self, number: int) -> dg.RunRecord:
        """Wait until the run of a number has succeeded; return it."""
        deadline = time.monotonic() + SECONDS_UNTIL_STUCK
        while time.monotonic() < deadline:
            for record in self.sampling_runs()[number : number + 1]:
                run = record.dagster_run
                if run.is_success:
                    return record
                if run.is_finished:
                    raise RuntimeError(f"run {run.run_id}: {self._failure_of(run)}")
                if process := process_of(self.opened, run):
                    with suppress(FileNotFoundError):
                        self.cpu_seconds[number] = _cpu_seconds_of(process.pid)
            time.sleep(0.5)
        raise RuntimeError(f"run {number} of a shard has not ended in time")

    def kill_worker(self, number: int) -> float:
        """Kill the process of the run of a number; return the time."""
        process = process_of(self.opened, self.sampling_runs()[number].dagster_run)
        assert process is not None, "its requests were answered"
        os.kill(process.pid, signal.SIGKILL)
        return time.time()

    def _failure_of(self, run: dg.DagsterRun) -> str:
        events = [entry.message for entry in self.opened.all_logs(run.run_id)]
        return " | ".join(events[-4:])

    def wait_for_answers(self, count: int) -> None:
        """Wait until the server has sent so many answers."""
        deadline = time.monotonic() + SECONDS_UNTIL_STUCK
        while len(self.server.answered) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {count} answers in time")
            time.sleep(0.05)


@contextmanager
def instance_in(folder: Path, home: str, num_problems: int, seconds: float) -> Iterator[Instance]:
    """Run an instance whose profile samples two shards, one after the other."""
    dagster_home, profile = folder / "dagster", folder / "profile.yaml"
    dagster_home.mkdir(parents=True)
    shutil.copy(DEPLOY / "processes" / "dagster.yaml", dagster_home)
    with serving(seconds) as server, postgres(folder) as database:
        model = {"base": "owner/model", "solves": ["train"]}
        words = {"source": "word_problems", "num_train": num_problems, "num_test": 0}
        servers = {"base_urls": [server.url], "api_key_variable": "BENCHMARK_KEY"}
        fields = {
            "shards": 2,
            "datasets": {"words": words},
            "generators": {"generator": model},
            "completer": model,
            "annotation": {"annotators": [{"kind": "monte_carlo", "num_rollouts": 4}]},
            "sampling": {"samples_per_problem": 4},
            "engine": {"kind": "openai", "batch_size": BATCH, "openai": servers},
            "runs": {"sampling_pool": "clients", "whole_shards": True},
        }
        profile.write_text(yaml.safe_dump(fields))
        environment = {
            **database.variables,
            "SHEPHERD_PROFILE": str(profile),
            "SHEPHERD_HOME": home,
            "DAGSTER_HOME": str(dagster_home),
        }
        # Dagster reads them in this process, too.
        with mock.patch.dict(os.environ, environment):
            command = [sys.executable, "-m", "cli", "run", "--submit"]
            # Not sys.stderr, which tests replace by an object without a descriptor.
            subprocess.run(command, cwd=ROOT, check=True, stdout=STDERR)
            with (
                dg.DagsterInstance.from_config(str(dagster_home)) as opened,
                daemon(environment, folder / "daemon.log"),
            ):
                yield Instance(server, opened)


def workers_of_dagster(options: argparse.Namespace) -> Iterator[Result]:
    """Yield Dagster's share of a shard, and what a kill of a worker costs."""
    folder = options.folder / "instance"
    home = options.home or str(folder / "home")
    num_problems, seconds = int(options.problems), float(options.seconds)
    with instance_in(folder, home, num_problems, seconds) as instance:
        server = instance.server
        first = instance.wait_for_success(0)
        asked, answered = list(server.asked), list(server.answered)
        server.most_answers = len(answered) + ANSWERS_BEFORE_KILL
        drawing = answered[-1][0] - asked[0][0]
        around = _seconds_of(instance, first) - drawing
        yield Result("seconds of a shard's run around its requests", round(around, 1), "s")
        cpu = round(instance.cpu_seconds.get(0, 0.0), 1)
        yield Result("CPU seconds of that run, with its requests", cpu, "s")
        share = round(100 * around / (60 * MINUTES_OF_SHARD), 2)
        yield at_most(f"the same of a shard of {MINUTES_OF_SHARD} minutes", share, "%", 3.0)

        instance.wait_for_answers(server.most_answers)
        time.sleep(SECONDS_TO_JOURNAL)
        killed = instance.kill_worker(1)
        before = {each[1:] for each in server.answered if each[0] < killed - SECONDS_TO_JOURNAL}
        num_asked, server.most_answers = len(server.asked), None
        _wait_for_more(server, num_asked)
        yield at_most(
            "from the kill of a worker to the retry's first request",
            round(server.asked[num_asked][0] - killed, 1),
            "s",
            90.0,
        )
        instance.wait_for_success(2)
        again = sum(each[1:] in before for each in server.asked[num_asked:])
        yield at_most("recorded requests drawn again after the kill", again, "requests", 0)


def _seconds_of(instance: Instance, record: dg.RunRecord) -> float:
    """Return the seconds from the launch of a run to its end."""
    launched = instance.opened.get_run_stats(record.dagster_run.run_id).launch_time
    assert record.end_time is not None
    assert launched is not None
    return record.end_time - launched


def _cpu_seconds_of(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended.

    Source: ``man 5 proc_pid_stat``, fields 14 to 17. The name before them may hold anything.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _wait_for_more(server: LatencyServer, num_asked: int) -> None:
    deadline = time.monotonic() + SECONDS_UNTIL_STUCK
    while len(server.asked) <= num_asked:
        if time.monotonic() > deadline:
            raise RuntimeError("the retry has sent no request in time")
        time.sleep(0.05)


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
