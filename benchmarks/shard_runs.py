"""Run shards by Dagster's daemon on a PostgreSQL, and kill what draws one of them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import dagster as dg
import yaml

from assets.run_processes import process_of
from benchmarks.cluster import DEPLOY, ROOT, daemon, postgres
from benchmarks.latency_server import LatencyServer, serving
from benchmarks.report import Result, at_most
from resources.processes import ProcessIdentity

BATCH = 32
"""Requests that each worker has in flight."""

ANSWERS_BEFORE_KILL = BATCH + BATCH // 2
"""Answers that a worker gets before it is killed. Its other requests wait, so that it is killed
while it draws: a worker that has drawn everything would leave its retry nothing to ask."""

SECONDS_TO_JOURNAL = 1.0
"""What was answered so long before a kill is in the journal."""

STDERR = 2
"""The descriptor of standard error: standard output is for the results."""

SECONDS_UNTIL_STUCK = 600.0
"""The longest wait for a run, on a busy machine."""


class Shards(NamedTuple):
    """What the runs draw, and where."""

    home: str
    num_shards: int
    num_problems: int
    """Of all shards."""
    seconds: float
    """In which a server answers a request."""


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
                process = process_of(self.opened, run)
                # Another machine has other processes.
                if process and process.state() == "running":
                    with suppress(FileNotFoundError):
                        self.cpu_seconds[number] = _cpu_seconds_of(process.pid)
            time.sleep(0.5)
        raise RuntimeError(f"run {number} of a shard has not ended in time")

    def process_of(self, number: int) -> ProcessIdentity:
        """Return the process of the run of a number, whose requests were answered."""
        process = process_of(self.opened, self.sampling_runs()[number].dagster_run)
        assert process is not None, "its requests were answered"
        return process

    def killed(
        self, number: int, kill: Callable[[ProcessIdentity], object], what: str
    ) -> Iterator[Result]:
        """Kill the run of a number while it draws; yield what its retry, the next run, repeats.

        ``kill`` gets the process of the run, ``what`` names what is killed.
        """
        server = self.server
        server.most_answers = len(server.answered) + ANSWERS_BEFORE_KILL
        self._wait_for_answers(server.most_answers)
        time.sleep(SECONDS_TO_JOURNAL)
        kill(self.process_of(number))
        killed = time.time()
        before = {each[1:] for each in server.answered if each[0] < killed - SECONDS_TO_JOURNAL}
        num_asked, server.most_answers = len(server.asked), None
        self._wait_for_more(num_asked)
        yield at_most(
            f"from the kill of a {what} to the retry's first request",
            round(server.asked[num_asked][0] - killed, 1),
            "s",
            90.0,
        )
        self.wait_for_success(number + 1)
        again = sum(each[1:] in before for each in server.asked[num_asked:])
        yield at_most("recorded requests drawn again after the kill", again, "requests", 0)

    def _failure_of(self, run: dg.DagsterRun) -> str:
        events = [entry.message for entry in self.opened.all_logs(run.run_id)]
        return " | ".join(events[-4:])

    def _wait_for_answers(self, count: int) -> None:
        deadline = time.monotonic() + SECONDS_UNTIL_STUCK
        while len(self.server.answered) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {count} answers in time")
            time.sleep(0.05)

    def _wait_for_more(self, num_asked: int) -> None:
        deadline = time.monotonic() + SECONDS_UNTIL_STUCK
        while len(self.server.asked) <= num_asked:
            if time.monotonic() > deadline:
                raise RuntimeError("the retry has sent no request in time")
            time.sleep(0.05)


@contextmanager
def instance_in(
    folder: Path, shards: Shards, *, launcher: str = "processes", host: str = "127.0.0.1"
) -> Iterator[Instance]:
    """Run an instance whose profile samples shards, one after the other.

    ``launcher`` names the folder of ``deploy/`` with its settings; ``host`` is the address of this
    machine for the workers.
    """
    dagster_home, profile = folder / "dagster", folder / "profile.yaml"
    dagster_home.mkdir(parents=True)
    shutil.copy(DEPLOY / launcher / "dagster.yaml", dagster_home)
    with serving(shards.seconds, host) as server, postgres(folder, host) as database:
        profile.write_text(yaml.safe_dump(_profile(shards, server.url)))
        environment = {
            **database.variables,
            "SHEPHERD_PROFILE": str(profile),
            "SHEPHERD_HOME": shards.home,
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


def _profile(shards: Shards, url: str) -> dict[str, object]:
    model = {"base": "owner/model", "solves": ["train"]}
    words = {"source": "word_problems", "num_train": shards.num_problems, "num_test": 0}
    servers = {"base_urls": [url], "api_key_variable": "BENCHMARK_KEY"}
    return {
        "shards": shards.num_shards,
        "datasets": {"words": words},
        "generators": {"generator": model},
        "completer": model,
        "annotation": {"annotators": [{"kind": "monte_carlo", "num_rollouts": 4}]},
        "sampling": {"samples_per_problem": 4},
        "engine": {"kind": "openai", "batch_size": BATCH, "openai": servers},
        "runs": {"sampling_pool": "clients", "whole_shards": True},
    }


def _cpu_seconds_of(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended.

    Source: ``man 5 proc_pid_stat``, fields 14 to 17. The name before them may hold anything.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
