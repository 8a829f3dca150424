"""Judge answers against gold answers, each distinct pair once.

Plain answers are compared exactly in this process (``shepherd.equivalence``). What needs algebra
goes to worker processes (``resources.grading.worker``) that are started when first needed, are
given a time and a memory limit, and are replaced when they pass it. No signal handler is set, so
this works in any thread; a forked child starts workers of its own.
"""

import atexit
import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shepherd.equivalence import compare

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
MAX_LENGTH = 2000
"""Characters past which an answer is not read: no gold answer comes near."""


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is correct, and how that was found."""

    correct: bool
    reason: Reason


def grade_pairs(
    pairs: Sequence[tuple[str, str | None]], *, seconds: float = 5.0, num_workers: int = 2
) -> list[Verdict]:
    """Return the verdict of each pair (gold answer, answer) in order; None is no answer.

    ``seconds`` is the CPU time that a worker may take for one pair.
    """
    verdicts: dict[tuple[str, str | None], Verdict] = {}
    undecided: list[tuple[str, str]] = []
    for gold, answer in dict.fromkeys(pairs):
        verdict = _plain_verdict(gold, answer)
        if verdict is not None:
            verdicts[gold, answer] = verdict
        else:
            assert answer is not None
            undecided.append((gold, answer))
    if undecided:
        verdicts.update(_algebra_verdicts(undecided, seconds, num_workers))
    return [verdicts[pair] for pair in pairs]


def _plain_verdict(gold: str, answer: str | None) -> Verdict | None:
    if answer is None or not answer.strip():
        return Verdict(False, "missing")
    if max(len(answer), len(gold)) > MAX_LENGTH:
        return Verdict(True, "exact") if answer == gold else Verdict(False, "unparsable")
    comparison = compare(gold, answer)
    if comparison == "undecided":
        return None
    return _PLAIN[comparison]


_PLAIN = {
    "equal": Verdict(True, "exact"),
    "rounded": Verdict(True, "numeric"),
    "different": Verdict(False, "different"),
}


def _algebra_verdicts(
    pairs: list[tuple[str, str]], seconds: float, num_workers: int
) -> dict[tuple[str, str | None], Verdict]:
    def judge(pair: tuple[str, str]) -> Verdict:
        with _WORKERS.borrow() as worker:
            return worker.judge(*pair, seconds)

    with ThreadPoolExecutor(min(num_workers, len(pairs))) as threads:
        return dict(zip(pairs, threads.map(judge, pairs), strict=True))


class _Worker:
    """One worker process, started at its first pair and again after each kill."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def judge(self, gold: str, answer: str, seconds: float) -> Verdict:
        process = self._running()
        request = {"gold": gold, "answer": answer, "seconds": seconds}
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        reply = _read_line(process, seconds * WALL_CLOCK_FACTOR)
        if reply is None:
            self.close()
            return Verdict(False, "timeout")
        reason = json.loads(reply)
        return Verdict(reason in ("numeric", "symbolic"), reason)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> "subprocess.Popen[bytes]":
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


class _Workers:
    """The idle workers of this process; a thread takes one and gives it back."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[_Worker]:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def forget(self) -> None:
        """Drop workers without ending them: in a forked child they are the parent's."""
        self._idle = queue.SimpleQueue()


_WORKERS = _Workers()
atexit.register(_WORKERS.close)
os.register_at_fork(after_in_child=_WORKERS.forget)
