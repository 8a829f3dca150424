"""Whose the engine's time is."""

import time


class SharedClock:
    """Adds up wall-clock seconds per running request.

    The difference of two readings is a request's share of the time between them, and the shares
    of all requests sum to the time in which any ran.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._marked = time.perf_counter()

    def tick(self, running: int) -> float:
        """Charge the time since the last tick to ``running`` requests; return the reading."""
        now = time.perf_counter()
        if running:
            self._seconds += (now - self._marked) / running
        self._marked = now
        return self._seconds
