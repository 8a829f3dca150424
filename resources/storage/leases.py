"""Hold a lease on what one worker may write at a time, and notice when it is lost.

A lease is an object ``leases/<name>.json``: its epoch, its holder and a count that the holder
raises every few seconds. A worker that wants the lease of another watches the count. If it stays
for :data:`SECONDS_UNTIL_EXPIRED`, by the watcher's own clock, the worker takes the lease with the
next epoch. No two clocks are ever compared. Commits compare epochs (:mod:`.commits`), so that a
worker that was taken for dead cannot commit later.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from pydantic import BaseModel, ConfigDict, ValidationError

from resources.processes import ProcessIdentity
from resources.storage.store import Blob, Store, StoreError

LEASES = "leases"

SECONDS_BETWEEN_RENEWALS = 5.0
SECONDS_UNTIL_EXPIRED = 30.0
"""A lease whose count stays this long has no holder any more."""


_log = logging.getLogger(__name__)


class LeaseLostError(ValueError):
    """Another worker has taken a lease: what this one does cannot be committed."""


class LeaseRecord(BaseModel):
    """The content of a lease's object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    """One more than that of the lease before."""
    holder: str
    """The process that holds it (``ProcessIdentity``), or its token; empty if it is free."""
    token: str
    """Tells workers of one process apart."""
    count: int = 0
    """How often it was renewed."""


class Lease:
    """A lease that this worker holds until it is released or lost."""

    def __init__(self, store: Store, key: str, record: LeaseRecord) -> None:
        self._store, self._key, self._record = store, key, record
        self._is_lost = False
        self._is_closed = threading.Event()
        self._renewer = threading.Thread(target=self._renew_again, daemon=True)

    @property
    def epoch(self) -> int:
        """The number of this lease among those of its name."""
        return self._record.epoch

    @property
    def lost_message(self) -> str:
        """What a user reads whose worker has lost the lease."""
        return (
            f"{self._store.url}/{self._key}: another worker has taken the lease over, since this "
            f"one did not renew it for {SECONDS_UNTIL_EXPIRED:.0f} s: nothing was committed here, "
            "and what was drawn is saved"
        )

    def check(self) -> None:
        """Check that the lease is not known to be lost.

        Raises:
            LeaseLostError: another worker has it.
        """
        if self._is_lost:
            raise LeaseLostError(self.lost_message)

    def begin(self) -> None:
        """Begin to renew the lease."""
        self._renewer.start()

    def end(self) -> None:
        """Stop renewing and free the lease. It expires by itself if the store is out of reach."""
        self._is_closed.set()
        self._renewer.join()
        # The work is committed by now.
        with suppress(StoreError):
            self._replace(self._record.model_copy(update={"holder": ""}))

    def _renew_again(self) -> None:
        while not self._is_lost and not self._is_closed.wait(SECONDS_BETWEEN_RENEWALS):
            # While the store is out of reach nobody can take the lease.
            with suppress(StoreError):
                self._replace(self._record.model_copy(update={"count": self._record.count + 1}))

    def _replace(self, record: LeaseRecord) -> None:
        """Replace the lease if it is still this one; otherwise it is lost."""
        blob, where = self._store.get(self._key), f"{self._store.url}/{self._key}"
        is_ours = blob is not None and _record_of(blob, where).token == record.token
        if is_ours and blob and self._store.swap(self._key, _bytes(record), blob.tag):
            self._record = record
        else:
            self._is_lost = True


_held: ContextVar[Lease | None] = ContextVar("lease", default=None)


def held_lease() -> Lease | None:
    """Return the lease that this thread holds."""
    return _held.get()


@contextmanager
def holding(store: Store, name: str, refusal: str) -> Iterator[Lease]:
    """Hold the lease of a name during the body; :func:`held_lease` returns it there.

    Raises:
        ValueError: another worker holds the lease and renews it; the message ends in ``refusal``.
    """
    assert _held.get() is None, "a worker holds one lease at a time"
    key = f"{LEASES}/{name}.json"
    lease = Lease(store, key, _taken(store, key, refusal))
    lease.begin()
    _held.set(lease)
    try:
        yield lease
    finally:
        _held.set(None)
        lease.end()


def _taken(store: Store, key: str, refusal: str) -> LeaseRecord:
    """Take a lease that is free, has expired or whose process has ended on this machine."""
    process, token = ProcessIdentity.of_this(), uuid.uuid4().hex
    blob, where = store.get(key), f"{store.url}/{key}"
    refused = ValueError(f"{where}: {refusal}")
    held = _record_of(blob, where) if blob else None
    if blob and held and not _is_free(held):
        _log.warning(
            "%s: is held: waiting %.0f s at most to see whether its holder renews it",
            where,
            SECONDS_UNTIL_EXPIRED,
        )
        end = time.monotonic() + SECONDS_UNTIL_EXPIRED
        while time.monotonic() < end:
            time.sleep(min(1.0, SECONDS_UNTIL_EXPIRED / 10))
            current = store.get(key)
            if current is None or current.tag != blob.tag:
                raise refused
    epoch = held.epoch + 1 if held else 1
    holder = process.to_json() if process else token
    record = LeaseRecord(epoch=epoch, holder=holder, token=token)
    if not store.swap(key, _bytes(record), blob.tag if blob else None):
        raise refused
    return record


def _is_free(record: LeaseRecord) -> bool:
    """Return whether a lease was released, or its holder has ended on this machine."""
    if not record.holder.startswith("{"):
        return not record.holder
    return ProcessIdentity.from_json(record.holder).state() == "ended"


def _record_of(blob: Blob, where: str) -> LeaseRecord:
    """Return what a lease's object says.

    Raises:
        StoreError: it is no lease: remove it.
    """
    try:
        return LeaseRecord.model_validate_json(blob.data)
    except ValidationError as error:
        raise StoreError(
            f"{where}: is no lease of this pipeline: remove it once no run of another version works"
        ) from error


def _bytes(record: LeaseRecord) -> bytes:
    return record.model_dump_json().encode()
