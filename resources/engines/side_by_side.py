"""Draw with copies of a model in processes: one on each core, or vLLM on each GPU.

The products of a small model take microseconds, and threads that share one wait for each other
after each: two threads of one process draw less than two processes, and a third of it where another
program takes turns on one of their cores. Processes do not wait for each other. GPUs that share a
model wait for each other in each layer.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import polars as pl
import torch

from resources.engines.clock import SharedClock
from resources.engines.copy_processes import THREADS, CopyProcess, borrow, give_back
from resources.engines.gpus import device_of, gpus_of_copies
from resources.engines.new_weights import Weights, weights_folder
from resources.engines.prefix_queue import PrefixQueue
from shepherd.memory import SMALL_BYTES
from shepherd.requests import Completion, completion_block, request_rows
from shepherd.settings import EngineSettings

FEWEST_ROWS = 64
"""Requests that run at once in a copy at least: smaller products take longer for each row."""

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""The processor time of a container: microseconds in a period, or ``max``; and the period."""


def copies_of(settings: EngineSettings, model: Path | str) -> list[dict[str, str]]:
    """Return the variables of the process of each copy; of at most one, this process draws.

    Raises:
        ValueError: there are not enough GPUs.
    """
    vllm = settings.vllm
    if settings.kind == "vllm":
        return gpus_of_copies(vllm.copies, vllm.num_gpus) if vllm.copies > 1 else [{}]
    count = _num_copies(model, settings.batch_size, device_of(settings.device))
    return [{THREADS: "1"}] * count


def _num_copies(model: Path | str, batch_size: int, device: torch.device) -> int:
    """Return how many copies of a checkpoint draw side by side on a CPU.

    A number of threads that the user has set is for this process.
    """
    folder = Path(model)
    if device.type != "cpu" or THREADS in os.environ or not folder.is_dir():
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

    The prompts of a question go to one copy, so that they share its prefill; a copy that would idle
    takes over a whole prompt. Draws do not depend on the copy.

    Raises:
        ValueError: there is no such checkpoint, or it cannot be drawn from.
    """

    def __init__(
        self, model: Path | str, settings: EngineSettings, copies: Sequence[Mapping[str, str]]
    ) -> None:
        """Open the copies.

        Args:
            model: checkpoint folder or hub name.
            settings: the engine; its ``batch_size`` is that of all copies, with vLLM of each.
            copies: variables of the process of each.
        """
        batch_size = settings.batch_size
        self._rows = batch_size if settings.kind == "vllm" else -(-batch_size // len(copies))
        """Requests that run at once in a copy."""
        self.capacity = self._rows * len(copies)
        self._waiting = PrefixQueue()
        self._num_waiting = 0
        self._unfinished: dict[str, float] = {}
        """The clock's seconds when each unfinished request was added."""
        self._clock = SharedClock()
        vllm = settings.vllm.model_copy(update={"copies": 1})
        one = settings.model_copy(update={"batch_size": self._rows, "vllm": vllm})
        self._copies = [_Copy(str(i), borrow(variables)) for i, variables in enumerate(copies)]
        with self._ended_by_errors():
            for copy in self._copies:
                copy.process.send(("open", str(model), one.model_dump_json()))
            for copy in self._copies:
                copy.process.receive_done()

    def add(self, requests: pl.DataFrame) -> None:
        added = self._clock.tick(len(self._unfinished))
        places = [copy.place for copy in self._copies]
        for request in request_rows(requests):
            self._waiting.put(request, places)
            self._unfinished[request.id] = added
        self._num_waiting += requests.height
        self._hand_out()

    def poll(self) -> pl.DataFrame:
        finished: list[Completion] = []
        if self._unfinished:
            ready = wait([copy.process.connection for copy in self._copies])
            for copy in self._copies:
                if copy.process.connection in ready:
                    completions = copy.process.receive_completions()
                    copy.num_running -= len(completions)
                    finished += completions
            self._hand_out()
        # The copies also draw while the caller does not wait.
        now = self._clock.tick(len(self._unfinished))
        return completion_block(
            completion._replace(seconds=now - self._unfinished.pop(completion.request_id))
            for completion in finished
        )

    def _hand_out(self) -> None:
        """Give the copies requests, some more than run at once: they wait for no answer.

        None gets more than its share of what is unfinished, so that few questions occupy all.
        """
        share = -(-len(self._unfinished) // len(self._copies))
        most_of_own = min(share, self._rows + self._rows // 2)
        for most, takes_over in ((most_of_own, False), (min(share, self._rows), True)):
            for copy in self._copies:
                taken = []
                while copy.num_running < most and self._has_for(copy, takes_over=takes_over):
                    taken.append(tuple(self._waiting.take(copy.place)))
                    copy.num_running += 1
                    self._num_waiting -= 1
                if taken:
                    copy.process.send(("add", taken))

    def _has_for(self, copy: "_Copy", *, takes_over: bool) -> bool:
        """Return whether a request waits at the home of a copy, or anywhere."""
        return self._num_waiting > 0 and (takes_over or self._waiting.waits_for(copy.place))

    def close(self) -> None:
        if self._unfinished:
            self._end()
            return
        # An engine whose process has ended is closed.
        with suppress(ValueError), self._ended_by_errors():
            for copy in self._copies:
                copy.process.send(("close",))
            for copy in self._copies:
                copy.process.receive_done()
        for copy in self._copies:
            give_back(copy.process)
        self._copies = []

    def release(self) -> None:
        """Keep the memory: policies are drawn from by copies only where they are small."""
        assert not self._unfinished, "requests are unfinished"

    def load_weights(self, weights: Weights) -> None:
        assert not self._unfinished, "requests are unfinished"
        with weights_folder(weights) as folder, self._ended_by_errors():
            for copy in self._copies:
                copy.process.send(("load", str(folder)))
            for copy in self._copies:
                copy.process.receive_done()

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """End the processes if the body fails: the next engine would read their late answers."""
        try:
            yield
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        """End the processes, which may be drawing."""
        for copy in self._copies:
            copy.process.end()
        self._copies = []
        self._unfinished.clear()


@dataclass
class _Copy:
    """A copy of the model."""

    place: str
    """Its name among the places of :class:`PrefixQueue`."""
    process: CopyProcess
    num_running: int = 0
    """Requests that it has."""
