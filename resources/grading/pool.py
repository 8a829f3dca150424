"""Keep worker processes that compare answers by algebra, and replace those that end.

A worker that passes its time or its memory limit ends the pair as ``timeout``. A worker that is
killed from outside is a fault of ours, not of the answer: the pair is judged again.
"""

import atexit
import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from shepherd.messages import shown

Reason = Literal["exact", "numeric", "symbolic", "different", "timeout", "unparsable", "missing"]
"""How a verdict was reached. Correct: ``exact`` (the plain forms are equal), ``numeric`` and
``symbolic`` (a worker found values or expressions equal). Incorrect: ``different``, ``timeout``
(a worker passed its time or memory limit), ``unparsable`` (no worker could read one of the two)
and ``missing`` (no answer was given)."""

START_TIMEOUT_S = 120.0
"""Seconds that a worker may take to import sympy, on a busy machine."""
WALL_CLOCK_FACTOR = 10.0
"""How much longer than its CPU time a pair may take by the clock, on a busy machine."""
MEMORY_MIB = 2048
"""Address space of a worker; sympy and its libraries take a few hundred MiB of it."""
NUM_TRIES = 3
"""Workers that may end at one pair, through no limit of theirs."""
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)


class _Worker:
    """One worker process, started at its first pair and again after each end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def judge(self, gold: str, answer: str, seconds: float) -> Reason:
        """Return how ``answer`` compares with ``gold``.

        Raises:
            RuntimeError: the workers were killed from outside at each try.
        """
        request = {"gold": gold, "answer": answer, "seconds": seconds}
        ending: int | None = None
        for attempt in range(1, NUM_TRIES + 1):
            reply = self._reply(json.dumps(request), seconds * WALL_CLOCK_FACTOR * attempt)
            if reply is not None:
                reason: Reason = json.loads(reply)
                return reason
            ending = self.close()
            if ending == -signal.SIGPROF:
                return "timeout"
        if ending is not None and ending in _FROM_OUTSIDE:
            raise RuntimeError(
                f"grading workers were killed {NUM_TRIES} times by signal {-ending}, not by their "
                f"own limits, at the gold answer {shown(gold)} and the answer {shown(answer)}: see "
                "whether the machine is out of memory (dmesg), then run again"
            )
        return "timeout"

    def close(self) -> int | None:
        """End the process, and return how it ended if it did so by itself."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A closed pipe means that the process is ending: its status says why.
            process.wait(0 if process.poll() is None and not _has_ended(process) else 5)
        ending = process.poll()
        process.kill()
        process.communicate()
        return ending

    def _reply(self, request: str, seconds: float) -> bytes | None:
        """Return the worker's line, or None if it ends or is silent for so long."""
        process = self._running()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()
        return _read_line(process, seconds)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            root = str(Path(__file__).parents[2])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "resources.grading.worker", str(MEMORY_MIB)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"},
            )
            if _read_line(self._process, START_TIMEOUT_S) is None:
                self.close()
                raise RuntimeError(
                    "the grading worker did not start: run `python -m resources.grading.worker "
                    f"{MEMORY_MIB}` to see why"
                )
        assert self._process is not None
        return self._process


def _read_line(process: "subprocess.Popen[bytes]", seconds: float) -> bytes | None:
    """Return the line that the process writes; None if it ends or is silent for so long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        # A reply is one short write, so that a readable pipe holds the whole line.
        return (process.stdout.readline() or None) if selector.select(seconds) else None


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Say whether the process has closed its side of the pipe."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return bool(selector.select(0))


class _Workers:
    """The idle workers of this process; a thread takes one and gives it back."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[_Worker]:
        """Take an idle worker, or a new one, and give it back at the end."""
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the idle workers."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def forget(self) -> None:
        """Drop workers without ending them: in a forked child they are the parent's."""
        self._idle = queue.SimpleQueue()


WORKERS = _Workers()
atexit.register(WORKERS.close)
os.register_at_fork(after_in_child=WORKERS.forget)
