"""What is lost on a home in an object store if processes are killed and machines are lost?

    python -m benchmarks.store_kills [--json] [--kills 20]

A worker draws from a server through a journal whose segments go to SeaweedFS. SIGKILL ends it at
random moments; each second time its machine is lost, too: the next worker has an empty folder. Then
the same requests are drawn without a kill, with the journal in the store and in a folder, in turn.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from unittest import mock

from benchmarks.command import Benchmark, Size
from benchmarks.latency_server import LatencyServer, serving
from benchmarks.object_server import bucket_in
from benchmarks.report import Result, at_most
from resources.engines.openai import OpenAIEngine
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList
from resources.storage.atomic import replacing_file
from resources.storage.home_files import LOCAL
from resources.storage.journal import completions_in, read_journal
from resources.storage.mirror import Mirror
from resources.storage.segments import SECONDS_BETWEEN_SEGMENTS
from resources.storage.store import open_store
from shepherd.requests import Request, request_block
from shepherd.settings import OpenAISettings

BATCH = 32
"""Requests that the worker has in flight."""

SECONDS_OF_ANSWER = 0.2

NAME = "rollouts/words/00"
JOURNAL = Path("journals") / NAME / "completer.journal"
OUTPUT = Path("rows.txt")

PROCESSES = get_context("spawn")


def requests_of(count: int) -> list[Request]:
    """Return the requests; the seed of each is its number."""
    return [Request(str(k), f"question {k // 4}\n", k, 0.7, 64) for k in range(count)]


def draw(url: str, address: str, root: Path, count: int) -> None:
    """Draw all requests under the lease, and commit the texts; without an address, in a folder."""
    mirror = Mirror(open_store(address), root) if address else None
    settings = OpenAISettings(base_urls=(url,), api_key_variable="BENCHMARK_KEY")
    source = RequestList(request_block(requests_of(count)))
    output = root / OUTPUT
    with mirror.holding(NAME, [output], "draws rollouts") if mirror else nullcontext():
        draw_completions(
            lambda: OpenAIEngine("owner/model", settings, batch_size=BATCH),
            source,
            root / JOURNAL,
            fingerprint={},
            description="worker",
            files=mirror or LOCAL,
        )
        texts = source.results().sort("id")["text"]
        with (mirror or LOCAL).committing(output), replacing_file(output) as file:
            file.write("\n".join(texts).encode())
        (mirror or LOCAL).discard_segments(root / JOURNAL.parent)


def measured_draw(
    queue: "SimpleQueue[tuple[float, float]]", url: str, address: str, root: Path, count: int
) -> None:
    """Draw as :func:`draw` does; put the seconds and CPU seconds without the process's start."""
    started, used = time.perf_counter(), cpu_seconds()
    draw(url, address, root, count)
    queue.put((time.perf_counter() - started, cpu_seconds() - used))


def cpu_seconds() -> float:
    """Return the CPU seconds of this process, all threads together."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Chain:
    """Workers one after the other, each killed at a random moment."""

    server: LatencyServer
    address: str
    folder: Path
    count: int
    num_kills: int = 0
    num_lost_machines: int = 0
    num_repeated: int = 0
    most_lost: int = 0
    """The most answers that a killed process had not recorded."""
    oldest_lost: float = 0.0
    """Seconds before the loss of a machine of the oldest answer that went with it."""

    def run(self, max_kills: int, seed: int = 0) -> None:
        """Kill workers until ``max_kills`` are, then let one end."""
        rng, root = random.Random(seed), self.folder / "0"
        while True:
            known = self.recorded(root)
            asked_before = len(self.server.asked)
            answered_before = len(self.server.answered)
            process = self.start(root)
            is_last = self.num_kills >= max_kills
            num_to_kill = len(self.server.answered) + rng.randint(1, 3 * BATCH)
            while process.is_alive() and (is_last or len(self.server.answered) < num_to_kill):
                time.sleep(0.01)
            time.sleep(0 if is_last else rng.uniform(0, 0.3))
            if not process.is_alive():
                assert process.exitcode == 0, "the worker failed by itself"
                self.count_repeated(known, asked_before)
                return
            process.kill()
            killed = time.time()
            process.join()
            self.num_kills += 1
            self.count_repeated(known, asked_before)
            answered = [e for e in self.server.answered[answered_before:] if e[0] < killed]
            root = self.after_kill(root, killed, {str(k): when for when, _, k in answered})

    def start(self, root: Path) -> SpawnProcess:
        """Start a worker."""
        arguments = (self.server.url, self.address, root, self.count)
        process = PROCESSES.Process(target=draw, args=arguments)
        process.start()
        return process

    def after_kill(self, root: Path, killed: float, answered: Mapping[str, float]) -> Path:
        """Measure what is lost; return the folder of the next worker's machine.

        ``answered`` says when the server has answered each request of the worker.
        """
        is_machine_lost = self.num_kills % 2 == 0
        if is_machine_lost:
            self.num_lost_machines += 1
            shutil.rmtree(root)
        lost = answered.keys() - self.recorded(root)
        if not is_machine_lost:
            self.most_lost = max(self.most_lost, len(lost))
            return root
        ages = [killed - answered[name] for name in lost]
        self.oldest_lost = max([self.oldest_lost, *ages])
        return self.folder / str(self.num_kills)

    def count_repeated(self, known: set[str], asked_before: int) -> None:
        """Count the requests that a worker has sent although they were recorded before it."""
        sent = (str(seed) for _, _, seed in self.server.asked[asked_before:])
        self.num_repeated += sum(name in known for name in sent)

    def recorded(self, root: Path) -> set[str]:
        """Return the ids in the segments, and in the journal of a machine."""
        store = open_store(self.address)
        blobs = (store.get(entry.key) for entry in store.list("journals"))
        known = set(completions_in(blob.data for blob in blobs if blob)["request_id"])
        path = root / JOURNAL
        return known | (set(read_journal(path)["request_id"]) if path.exists() else set())


def kills(options: argparse.Namespace, address: str) -> Iterator[Result]:
    """Yield what a chain of kills repeats and loses, and whether its rows are the right ones."""
    count = int(options.requests)
    with serving(SECONDS_OF_ANSWER) as server:
        chain = Chain(server, f"{address}/chain", options.folder / "chain", count)
        chain.run(int(options.kills))
    yield Result("kills", chain.num_kills, "of workers")
    yield Result("machines lost", chain.num_lost_machines, "of these")
    yield at_most("recorded requests drawn again", chain.num_repeated, "requests", 0)
    yield at_most("answers lost with a process, at most", chain.most_lost, "answers", BATCH)
    yield at_most(
        "age of the oldest answer lost with a machine",
        round(chain.oldest_lost, 2),
        "s",
        2 * SECONDS_BETWEEN_SEGMENTS,
    )
    with serving(0.0) as server:
        draw(server.url, "", options.folder / "undisturbed", count)
    mirror = Mirror(open_store(f"{address}/chain"), options.folder / "reader")
    mirror.fetch([mirror.root / OUTPUT])
    rows, expected = (
        (root / OUTPUT).read_text().splitlines()
        for root in (mirror.root, options.folder / "undisturbed")
    )
    differing = sum(a != b for a, b in zip(rows, expected, strict=True))
    yield at_most("rows that differ from an undisturbed run", differing, f"of {count}", 0)


def overheads(options: argparse.Namespace, address: str) -> Iterator[Result]:
    """Yield the median shares by which segments lengthen sampling and its CPU seconds."""
    count, ratios = int(options.requests), []
    for pair in range(int(options.pairs)):
        seconds = {}
        homes = [f"{address}/{pair}", ""]
        # In turn, against drift.
        for home in homes if pair % 2 else reversed(homes):
            queue: SimpleQueue[tuple[float, float]] = PROCESSES.SimpleQueue()
            with serving(SECONDS_OF_ANSWER) as server:
                root = options.folder / f"{pair}-{bool(home)}"
                arguments = (queue, server.url, home, root, count)
                process = PROCESSES.Process(target=measured_draw, args=arguments)
                process.start()
                process.join()
            seconds[home] = queue.get()
        in_store, local = seconds[f"{address}/{pair}"], seconds[""]
        ratios.append([a / b - 1 for a, b in zip(in_store, local, strict=True)])
    for name, values in zip(("wall", "CPU seconds"), zip(*ratios, strict=True), strict=True):
        share = 100 * statistics.median(values)
        yield at_most(f"sampling with segments, {name}", round(share, 1), "% more", 5.0)


def run(options: argparse.Namespace) -> list[Result]:
    """Return what kills lose, and what segments cost.

    Raises:
        ValueError: SeaweedFS is not installed.
    """
    with (
        bucket_in(options.folder) as bucket,
        mock.patch.dict(os.environ, {"BENCHMARK_KEY": "none"}),
    ):
        address = f"{bucket}/home"
        return [*kills(options, address), *overheads(options, address)]


BENCHMARK = Benchmark(
    "store_kills",
    __doc__,
    run,
    sizes=(
        Size("kills", 20, 2, "kills of workers"),
        Size("requests", 1_600, 200, "requests of the stage"),
        Size("pairs", 3, 1, "pairs of undisturbed runs, in the store and in a folder"),
    ),
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
