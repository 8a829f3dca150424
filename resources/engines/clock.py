"""Split the engine's running time among the requests in flight."""

import time


class SharedClock:
    """Adds up the wall-clock ``seconds`` of one running request's share.

    The growth of ``seconds`` while a request runs is its share. The shares of all requests sum to
    the time in which at least one ran.
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
