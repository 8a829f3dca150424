"""Whose the engine's time is."""

import time


class SharedClock:
    """Adds up wall-clock ``seconds`` per running request.

    Their growth while a request runs is its share, and the shares of all requests sum to the time
    in which any ran.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._marked = time.perf_counter()

    def tick(self, running: int) -> float:
        """Charge the time since the last tick to ``running`` requests; return ``seconds``."""
        now = time.perf_counter()
        if running:
            self.seconds += (now - self._marked) / running
        self._marked = now
        return self.seconds
