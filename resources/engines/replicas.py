"""Choose the server of the next request, and notice when no server answers.

A circuit breaker: a server that fails three times in a row gets no request for a pause (its
circuit is open), then a single one as a probe (half-open). An answer closes the circuit, a
failure doubles the pause.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from resources.engines.manners import Manners

FAILURES_TO_OPEN = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds of the first pause, and of any pause at most."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Replica:
    """A server. Times are seconds on the caller's clock."""

    url: str
    in_flight: int = 0
    failures: int = 0
    """Failures in a row."""

    open_until: float = 0.0
    """The server gets no request until then, because it failed."""

    quiet_until: float = 0.0
    """The server gets no request until then, because it asked so (Retry-After)."""

    failing_since: float | None = None
    """The first failure after the last answer; null if the last request was answered."""

    last_failure: str = ""

    manners: Manners = field(default_factory=Manners)
    """How the server wants to be asked, as far as it is known."""

    trial: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while one request finds out how the server continues a turn."""


class Replicas:
    """The servers of one model, each with room for ``batch_size`` requests.

    ``num_answered`` counts the requests whose work any of them did.
    """

    def __init__(self, urls: tuple[str, ...], batch_size: int, patience: float) -> None:
        self.num_answered = 0
        self._replicas = [Replica(url) for url in urls]
        self._batch_size = batch_size
        self._patience = patience

    @property
    def urls(self) -> list[str]:
        """The addresses of the servers that have the model, as far as it is known."""
        return [replica.url for replica in self._replicas]

    def take(self, now: float, prefers: Callable[[str], bool]) -> Replica | None:
        """Return the available server with the fewest requests, and count one more there.

        Servers whose address ``prefers`` accepts come first. Of several, the one with the fewest
        failures in a row is returned.
        """
        ready = [replica for replica in self._replicas if self._room(replica, now) > 0]
        if not ready:
            return None
        replica = min(ready, key=lambda one: (not prefers(one.url), one.in_flight, one.failures))
        replica.in_flight += 1
        return replica

    def release(self, replica: Replica) -> None:
        """Count one request fewer: that of ``take`` has ended."""
        replica.in_flight -= 1

    def answered(self, replica: Replica) -> None:
        """Record that a server completed a request: its circuit closes."""
        if replica.failures >= FAILURES_TO_OPEN:
            _log.warning("%s: answers again", replica.url)
        self.num_answered += 1
        replica.failures, replica.open_until, replica.failing_since = 0, 0.0, None

    def num_failures(self) -> int:
        """Return how often in a row each server has failed at least."""
        return min((replica.failures for replica in self._replicas), default=0)

    def quiet(self, replica: Replica, now: float, seconds: float, reason: str) -> None:
        """Record that a server asks to get no request for ``seconds``.

        Raises:
            ValueError: all servers have failed for longer than the patience.
        """
        replica.quiet_until = max(replica.quiet_until, now + seconds)
        self._blame(replica, now, reason)

    def failed(self, replica: Replica, now: float, reason: str) -> None:
        """Record that a request failed because of the server.

        Raises:
            ValueError: all servers have failed for longer than the patience.
        """
        # Requests in flight when the circuit opened fail as well: they are no new evidence.
        if now >= replica.open_until:
            replica.failures += 1
            excess = replica.failures - FAILURES_TO_OPEN
            if excess >= 0:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(excess, 10))
                replica.open_until = now + pause
                _log.warning("%s: %s: next try in %g s", replica.url, reason, pause)
        self._blame(replica, now, reason)

    def remove(self, replica: Replica, reason: str) -> None:
        """Drop a server that does not have the model.

        Raises:
            ValueError: no server is left.
        """
        others = [other for other in self._replicas if other is not replica]
        if not others:
            raise ValueError(
                f"{replica.url}: {reason}: serve the model under that name, or correct "
                "engine.openai.base_urls in the profile"
            )
        self._replicas = others

    def _blame(self, replica: Replica, now: float, reason: str) -> None:
        replica.last_failure = reason
        if replica.failing_since is None:
            replica.failing_since = now
        since = [other.failing_since for other in self._replicas]
        if all(start is not None and now - start >= self._patience for start in since):
            failures = "; ".join(f"{other.url}: {other.last_failure}" for other in self._replicas)
            raise ValueError(
                f"no server has answered for {self._patience:g} s ({failures}): start the servers "
                "and run again: what is finished is kept"
            )

    def _room(self, replica: Replica, now: float) -> int:
        if now < max(replica.open_until, replica.quiet_until):
            return 0
        limit = 1 if replica.failures >= FAILURES_TO_OPEN else self._batch_size
        return limit - replica.in_flight
