"""Which server takes the next request, and when to believe that none will.

A server that fails three times in a row gets nothing for a while (its circuit is open), then a
single request as a probe (half-open); an answer closes the circuit, a failure doubles the pause.
"""

import logging
from dataclasses import dataclass

FAILURES_TO_OPEN = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Replica:
    """A server. Times are seconds on the caller's clock.

    It gets no request until ``open_until`` because it failed, nor until ``quiet_until`` because
    it asked so. ``failing_since`` is its first failure after its last answer.
    """

    url: str
    in_flight: int = 0
    failures: int = 0
    open_until: float = 0.0
    quiet_until: float = 0.0
    failing_since: float | None = None
    last_failure: str = ""


class Replicas:
    """The servers of one model, each with room for ``batch_size`` requests.

    ``num_answered`` counts the requests whose work any of them did.
    """

    def __init__(self, urls: tuple[str, ...], batch_size: int, patience: float) -> None:
        self.num_answered = 0
        self._replicas = [Replica(url) for url in urls]
        self._batch_size = batch_size
        self._patience = patience

    def take(self, now: float) -> Replica | None:
        """Return the least loaded server that may be asked now, and count the request there."""
        ready = [replica for replica in self._replicas if self._room(replica, now) > 0]
        if not ready:
            return None
        replica = min(ready, key=lambda candidate: candidate.in_flight)
        replica.in_flight += 1
        return replica

    def release(self, replica: Replica) -> None:
        """End the request that ``take`` counted."""
        replica.in_flight -= 1

    def answered(self, replica: Replica) -> None:
        """Take in that a server did a request's work: its circuit closes."""
        if replica.failures >= FAILURES_TO_OPEN:
            _log.warning("%s: answers again", replica.url)
        self.num_answered += 1
        replica.failures, replica.open_until, replica.failing_since = 0, 0.0, None

    def quiet(self, replica: Replica, now: float, seconds: float, reason: str) -> None:
        """Take in that a living server asks to be left alone for that long.

        Raises:
            ValueError: all servers have failed for longer than the patience.
        """
        replica.quiet_until = max(replica.quiet_until, now + seconds)
        self._blame(replica, now, reason)

    def failed(self, replica: Replica, now: float, reason: str) -> None:
        """Take in that a request failed for a reason that is the server's.

        Raises:
            ValueError: all servers have failed for longer than the patience.
        """
        # What was in flight when the circuit opened fails as well, and says nothing new.
        if now >= replica.open_until:
            replica.failures += 1
            excess = replica.failures - FAILURES_TO_OPEN
            if excess >= 0:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(excess, 10))
                replica.open_until = now + pause
                _log.warning("%s: %s: next try in %g s", replica.url, reason, pause)
        self._blame(replica, now, reason)

    def remove(self, replica: Replica, reason: str) -> None:
        """Leave out a server that does not have the model.

        Raises:
            ValueError: it was the last one.
        """
        self._replicas = [other for other in self._replicas if other is not replica]
        if not self._replicas:
            raise ValueError(
                f"{replica.url}: {reason}: serve the model under that name, or correct "
                "engine.openai.base_urls in the profile"
            )

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
