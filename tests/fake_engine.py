"""An engine whose completions depend on the request alone and finish out of order."""

import random
import time
from pathlib import Path

import polars as pl

from shepherd.requests import Completion, Request, completion_block, request_rows


class FakeEngine:
    """Finishes a few queued requests a poll, in no order; appends the ids it is given to a log.

    A request whose prompt holds ``boom`` ends in an error, one that holds ``cut`` at its limit.
    """

    def __init__(self, *, capacity: int = 4, seconds: float = 0.0, log: Path | None = None) -> None:
        self.capacity = capacity
        self.most_queued = 0
        self.added: list[str] = []
        self.closed = False
        self._seconds = seconds
        self._log = log
        self._queue: list[Request] = []
        self._rng = random.Random(0)

    def add(self, requests: pl.DataFrame) -> None:
        fresh = list(request_rows(requests))
        self._queue += fresh
        self.added += [request.id for request in fresh]
        self.most_queued = max(self.most_queued, len(self._queue))
        if self._log is not None:
            with self._log.open("a") as file:
                file.writelines(f"{request.id}\n" for request in fresh)

    def poll(self) -> pl.DataFrame:
        time.sleep(self._seconds)
        chosen = self._rng.sample(self._queue, min(len(self._queue), self._rng.randint(1, 3)))
        for request in chosen:
            self._queue.remove(request)
        return completion_block(map(complete, chosen))

    def close(self) -> None:
        self.closed = True


def complete(request: Request) -> Completion:
    """Return what the engine makes of a request."""
    length = len(request.prompt.split())
    if "boom" in request.prompt:
        return Completion(request.id, "", "error", length, 0, 0, 0.0, "it went boom")
    answer = random.Random(request.seed).randint(1, 3)
    text = f"Step 1: 1 + {answer - 1} = {answer}.\nThe answer is: {answer}"
    reason = "length" if "cut" in request.prompt else "stop"
    return Completion(request.id, text, reason, length, length - 1, 7, 0.25)
