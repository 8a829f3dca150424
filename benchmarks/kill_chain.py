"""Does a whole run end in the same rows if it is killed many times?

    python -m benchmarks.kill_chain [--json] [--kills 50] [--in-store]

Runs the profile ``tiny`` undisturbed, then kills it by SIGKILL at random moments until it ends: in
sampling, training, the warehouse and between the renames that put files in place. If a home ends
before all kills are spent, the next home begins. Rows, weights, relations and file names of each
home are compared with those of the undisturbed one. With ``--in-store`` the homes are in SeaweedFS,
and each second kill takes the machine with its copies of the files away.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import duckdb
import yaml

from benchmarks.command import Benchmark, Size
from benchmarks.compare_homes import compare_lakes, compare_models
from benchmarks.leftovers import processes_of
from benchmarks.object_server import bucket_in
from benchmarks.report import Result, at_least, at_most
from cli.home_copy import model_names
from resources.profiles import load_settings
from resources.storage.home import Home
from resources.storage.model_store import ModelStore
from resources.storage.verification import items_of

PRELOADED = ["cli.pipeline", "torch", "transformers", "resources.engines.transformers"]
FIRST_WORK = "\n-- "
"""Begins the line on the console that announces a run: from here on there is work to lose."""

MEAN_SHARE = 1 / 20
"""A run that is killed by the clock works for this share of the undisturbed time on average."""
MAX_RENAMES = 12
"""A run that is killed at a rename is killed at one of so many."""
SECONDS_TO_END = 10.0
"""Time for the children of a killed run to notice it."""

NAMED_BY_TIME = re.compile(r"/runs/|events\.out\.tfevents")
"""Curves of training, whose names hold the time and the process."""


@dataclass(frozen=True)
class KillAtRename:
    """The end of a run at a rename: just before it, or at the next step after it."""

    number: int
    is_after: bool

    def install(self) -> None:
        """Kill this process when it comes to that rename."""
        num_renames = 0

        def count(event: str, _: object) -> None:
            nonlocal num_renames
            if event == "os.kill":
                return
            is_due = num_renames >= self.number
            num_renames += event == "os.rename"
            if is_due if self.is_after else num_renames >= self.number:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)


def write_profile(path: Path, num_problems: int, *, has_policies: bool) -> None:
    """Write the profile ``tiny`` with another number of train problems, and perhaps no policies."""
    profile = load_settings("tiny").model_dump(mode="json")
    for dataset in profile["datasets"].values():
        dataset["num_train"] = num_problems
    if not has_policies:
        profile["policies"] = {}
    path.write_text(yaml.safe_dump(profile))


def run_profile(
    profile: Path, home: str, dagster_home: Path, log: Path, kill: KillAtRename | None
) -> None:
    """Run the profile as the command does, and end with its exit code."""
    with log.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    from cli.app import main

    if kill:
        kill.install()
    options = ["--home", home, "--dagster-home", str(dagster_home)]
    sys.exit(main(["run", "--profile", str(profile), *options]))


@dataclass
class Killer:
    """Runs of the profile, of which some are killed."""

    folder: Path
    profile: Path
    rng: random.Random
    num_kills_left: int
    address: str = ""
    """Where the killed homes are if they are in a store."""
    seconds: float = 0.0
    """Seconds of the undisturbed run, from its first work to its end."""
    num_kills: int = 0
    num_kills_at_renames: int = 0
    num_lost_machines: int = 0

    def undisturbed(self) -> Home:
        """Run the profile to its end."""
        home, log = Home(self.folder / "undisturbed"), self.folder / "undisturbed.log"
        process = self._start(home, log, None)
        self._wait_for_work(process, log)
        start = time.monotonic()
        process.join()
        _check_ended(process, log)
        self.seconds = time.monotonic() - start
        return home

    def killed(self) -> Iterator[Home]:
        """Run the profile in new homes until all kills are spent; yield each home at its end."""
        number = 0
        while self.num_kills_left > 0:
            home = Home.at(f"{self.address or self.folder}/killed-{number}")
            while not self._run_once(home, f"killed-{number}"):
                pass
            yield home
            number += 1

    def _run_once(self, home: Home, name: str) -> bool:
        """Run in a home until the end or the kill; return whether it ended."""
        log = self.folder / f"{name}.{self.num_kills}.log"
        kill = None
        if self.num_kills_left > 0 and self.rng.random() < 0.5:
            kill = KillAtRename(self.rng.randint(1, MAX_RENAMES), self.rng.random() < 0.5)
        process = self._start(home, log, kill)
        if kill is None and self.num_kills_left > 0:
            self._wait_for_work(process, log)
            process.join(self.rng.uniform(0, 2 * MEAN_SHARE * self.seconds))
            if process.is_alive():
                process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            _check_ended(process, log)
            return True
        self.num_kills += 1
        self.num_kills_left -= 1
        self.num_kills_at_renames += kill is not None
        if self.address and self.num_kills % 2 == 0:
            shutil.rmtree(home.root, ignore_errors=True)
            self.num_lost_machines += 1
        return False

    def _start(self, home: Home, log: Path, kill: KillAtRename | None) -> BaseProcess:
        # Runs fork from a server that only imports: a process with threads must not fork.
        processes = get_context("forkserver")
        processes.set_forkserver_preload([__name__, *PRELOADED])
        # Dagster's databases stay where a machine is lost: they are PostgreSQL's in a cluster.
        dagster_home = home.dagster if not home.address else self.folder / home.root.name
        arguments = (self.profile, home.location, dagster_home, log, kill)
        process = processes.Process(target=run_profile, args=arguments)
        process.start()
        return process

    def _wait_for_work(self, process: BaseProcess, log: Path) -> None:
        while process.is_alive() and not (log.exists() and FIRST_WORK in log.read_text()):
            process.join(0.05)


def _check_ended(process: BaseProcess, log: Path) -> None:
    if process.exitcode != 0:
        lines = log.read_text().splitlines()[-20:]
        raise RuntimeError("\n".join([f"exit code {process.exitcode} of a run:", *lines]))


def differences(home: Home, other: Home) -> int:
    """Return the number of rows, weight files and relations that differ between two homes."""
    for each in (home, other):
        each.files.fetch([*each.files.below(each.lake), each.warehouse])
        for name in model_names(each):
            ModelStore(each.models, each.files).path(name)
    results = [*compare_lakes(home.lake, other.lake), *compare_models(home.models, other.models)]
    relations, others = (_relations(each.warehouse) for each in (home, other))
    differing = relations.items() ^ others.items()
    for name in sorted({name for name, _ in differing}):
        print(f"warehouse: {name} has other rows", file=sys.stderr)
    return sum(int(result.value) for result in results) + len({name for name, _ in differing})


def _relations(warehouse: Path) -> dict[str, int]:
    with duckdb.connect(warehouse, read_only=True) as connection:
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall()
        return {
            name: connection.execute(f"select count(*) from {name}").fetchall()[0][0]
            for (name,) in names
        }


def leftovers(home: Home, other: Home) -> list[str]:
    """Return the files that are in one of two homes only; Dagster's are not compared."""
    differing = sorted(_names(home) ^ _names(other))
    for name in differing:
        print(f"{home.root.name} and {other.root.name} differ in {name}", file=sys.stderr)
    return differing


def _names(home: Home) -> set[str]:
    paths = (path for path in home.root.rglob("*") if not path.is_relative_to(home.dagster))
    names = (path.relative_to(home.root).as_posix() for path in paths if path.is_file())
    return {name for name in names if not NAMED_BY_TIME.search(f"/{name}")}


def run(options: argparse.Namespace) -> list[Result]:
    """Run the profile undisturbed and killed, and compare.

    Raises:
        ValueError: SeaweedFS, in which the homes shall be, is not installed.
    """
    profile = options.folder / "profile.yaml"
    write_profile(profile, options.problems, has_policies=bool(options.policies))
    killer = Killer(options.folder, profile, random.Random(0), options.kills)
    with bucket_in(options.folder) if options.in_store else nullcontext("") as address:
        killer.address = address
        return compared(killer, options)


def compared(killer: Killer, options: argparse.Namespace) -> list[Result]:
    """Return what kills have changed."""
    undisturbed = killer.undisturbed()
    num_homes = num_differences = num_leftovers = num_errors = 0
    for home in killer.killed():
        num_homes += 1
        num_differences += differences(undisturbed, home)
        # Attempts that no pointer names stay in a store for a day.
        num_leftovers += 0 if home.address else len(leftovers(undisturbed, home))
        findings = [finding for item in items_of(home) for finding in item.findings()]
        num_errors += sum(not finding.is_note for finding in findings)
    time.sleep(SECONDS_TO_END)
    return [
        Result("seconds of an undisturbed run", round(killer.seconds, 1), "s"),
        Result("homes", num_homes, "homes"),
        at_least("kills", killer.num_kills, "runs", options.kills),
        Result("of them at a rename", killer.num_kills_at_renames, "runs"),
        Result("of them with the loss of the machine", killer.num_lost_machines, "runs"),
        at_most("rows, weights and relations that differ", num_differences, "in all homes", 0),
        at_most("files in one home only", num_leftovers, "files", 0),
        at_most("errors of shepherd verify", num_errors, "errors", 0),
        at_most("processes left", len(processes_of(options.folder)), "processes", 0),
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a store."""
    parser.add_argument(
        "--in-store", action="store_true", help="keep the killed homes in an object store"
    )


BENCHMARK = Benchmark(
    "kill_chain",
    __doc__,
    run,
    sizes=[
        Size("kills", 50, 2, "times that runs are killed"),
        Size("problems", 12, 6, "train problems"),
        Size("policies", 1, 0, "1 trains policies as well, 0 does not"),
    ],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
