"""Draw with a copy of a small model on each core, in processes of one thread each.

The products of a small model take microseconds, and threads that share one wait for each other
after each: two threads of one process draw less than two processes, and a third of it where another
program takes turns on one of their cores. Processes do not wait for each other.
"""

import os
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import polars as pl
import torch

from resources.engines.clock import SharedClock
from resources.engines.copy_processes import borrow, give_back
from resources.engines.new_weights import Weights, weights_folder
from shepherd.memory import SMALL_BYTES
from shepherd.requests import REQUESTS, Completion, completion_block

FEWEST_ROWS = 64
"""Requests that run at once in a copy at least: smaller products take longer for each row."""

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""The processor time of a container: microseconds in a period, or ``max``; and the period."""


def num_copies(model: Path | str, batch_size: int, device: torch.device) -> int:
    """Return how many copies of a checkpoint draw side by side; 1: this process draws alone.

    A number of threads that the user has set (``OMP_NUM_THREADS``) is for this process.
    """
    folder = Path(model)
    if device.type != "cpu" or "OMP_NUM_THREADS" in os.environ or not folder.is_dir():
        return 1
    if sum(path.stat().st_size for path in folder.glob("*.safetensors")) > SMALL_BYTES:
        return 1
    return max(1, min(_num_cores(), batch_size // FEWEST_ROWS))


def _num_cores() -> int:
    """Return the cores that this process may use, where the system says it."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = count or 1
    with suppress(OSError):
        quota, period = CPU_LIMIT.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


class SideBySideEngine:
    """Copies of one checkpoint, each in a process that stays for the next engine.

    A prompt's requests go to one copy while it has some of them, so that they share its prefill;
    other prompts go to the copy with the fewest requests. Draws do not depend on the copy.

    Raises:
        ValueError: there is no such checkpoint, or it cannot be drawn from.
    """

    def __init__(self, model: Path | str, count: int, *, batch_size: int, dtype: str) -> None:
        self.capacity = batch_size
        self._copies = [borrow() for _ in range(count)]
        self._num_running = [0] * count
        self._copy_of: dict[str, int] = {}
        """Index of the process that draws the unfinished requests of each prompt."""
        self._num_of: Counter[str] = Counter()
        """Unfinished requests of each prompt."""
        self._unfinished: dict[str, tuple[str, float]] = {}
        """Prompt of each unfinished request, and the clock's seconds when it was added."""
        self._clock = SharedClock()
        try:
            for copy in self._copies:
                copy.send(("open", str(model), -(-batch_size // count), dtype))
            for copy in self._copies:
                copy.receive_done()
        except BaseException:
            self._end()
            raise

    def add(self, requests: pl.DataFrame) -> None:
        added = self._clock.tick(len(self._unfinished))
        rows: list[list[tuple[object, ...]]] = [[] for _ in self._copies]
        for row in requests.select(REQUESTS.names()).iter_rows():
            request_id, prompt = row[:2]
            if prompt not in self._copy_of:
                self._copy_of[prompt] = self._num_running.index(min(self._num_running))
            index = self._copy_of[prompt]
            rows[index].append(row)
            self._num_running[index] += 1
            self._num_of[prompt] += 1
            self._unfinished[request_id] = prompt, added
        for copy, its_rows in zip(self._copies, rows, strict=True):
            if its_rows:
                copy.send(("add", its_rows))

    def poll(self) -> pl.DataFrame:
        finished: list[Completion] = []
        if self._unfinished:
            ready = wait([copy.connection for copy in self._copies])
            for index, copy in enumerate(self._copies):
                if copy.connection in ready:
                    completions = copy.receive_completions()
                    self._num_running[index] -= len(completions)
                    finished += completions
        # The copies also draw while the caller does not wait.
        now = self._clock.tick(len(self._unfinished))
        return completion_block(self._ended(completion, now) for completion in finished)

    def _ended(self, completion: Completion, now: float) -> Completion:
        """Forget a request; return its completion with its share of the time of all copies."""
        prompt, added = self._unfinished.pop(completion.request_id)
        self._num_of[prompt] -= 1
        if not self._num_of[prompt]:
            del self._num_of[prompt], self._copy_of[prompt]
        return completion._replace(seconds=now - added)

    def close(self) -> None:
        if self._unfinished:
            self._end()
            return
        for copy in self._copies:
            copy.send(("close",))
            give_back(copy)
        self._copies = []

    def release(self) -> None:
        """Keep the memory: copies are made of small models only."""
        assert not self._unfinished, "requests are unfinished"

    def load_weights(self, weights: Weights) -> None:
        assert not self._unfinished, "requests are unfinished"
        with weights_folder(weights) as folder:
            for copy in self._copies:
                copy.send(("load", str(folder)))
            for copy in self._copies:
                copy.receive_done()

    def _end(self) -> None:
        """End the processes, which may be drawing."""
        for copy in self._copies:
            copy.end()
        self._copies = []
        self._unfinished.clear()
