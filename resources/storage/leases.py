"""Hold a lease on what one worker may write at a time, and notice when it is lost.

A lease is an object ``leases/<name>.json``: its epoch, its holder and a count that the holder
raises every few seconds. A worker that wants the lease of another waits, and watches the count. If
it stays for :data:`SECONDS_UNTIL_EXPIRED`, by the watcher's own clock, the worker takes the lease
with the next epoch. No two clocks are ever compared. Commits compare epochs (:mod:`.commits`), so
that a worker that was taken for dead cannot commit later. So a lease may also be taken at once from
a holder that somebody else takes for dead (:func:`freed`).
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from resources.processes import ProcessIdentity
from resources.storage.store import Blob, Store, StoreError

LEASES = "leases"

SECONDS_BETWEEN_RENEWALS = 5.0
SECONDS_UNTIL_EXPIRED = 30.0
"""A lease whose count stays this long has no holder any more."""

_WAITING = "%s: %s %s: waiting until it ends, or has not renewed its lease for %.0f s"

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

    @property
    def process(self) -> ProcessIdentity | None:
        """The process that holds the lease; None if the lease does not say or is free."""
        is_known = self.holder.startswith("{")
        return ProcessIdentity.from_json(self.holder) if is_known else None


class Lease:
    """A lease that this worker holds until it is released or lost."""

    def __init__(
        self, store: Store, key: str, record: LeaseRecord, on_loss: Callable[[], None]
    ) -> None:
        self._store, self._key, self._record = store, key, record
        self._on_loss = on_loss
        self.is_lost = False
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
            f"one did not renew it for {SECONDS_UNTIL_EXPIRED:.0f} s or Dagster has marked its run "
            "as ended: nothing was committed here, and what was drawn is saved"
        )

    def check(self) -> None:
        """Check that the lease is not known to be lost.

        Raises:
            LeaseLostError: another worker has it.
        """
        if self.is_lost:
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
        while not self.is_lost and not self._is_closed.wait(SECONDS_BETWEEN_RENEWALS):
            # While the store is out of reach nobody can take the lease.
            with suppress(StoreError):
                self._replace(self._record.model_copy(update={"count": self._record.count + 1}))
        if self.is_lost and not self._is_closed.is_set():
            self._on_loss()

    def _replace(self, record: LeaseRecord) -> None:
        """Replace the lease if it is still this one; otherwise it is lost."""
        blob, where = self._store.get(self._key), f"{self._store.url}/{self._key}"
        is_ours = blob is not None and _record_of(blob, where).token == record.token
        if is_ours and blob and self._store.swap(self._key, _bytes(record), blob.tag):
            self._record = record
        else:
            self.is_lost = True


_held: ContextVar[Lease | None] = ContextVar("lease", default=None)


def held_lease() -> Lease | None:
    """Return the lease that this thread holds."""
    return _held.get()


def _none_has_ended(_: ProcessIdentity) -> bool:
    return False


_has_ended: ContextVar[Callable[[ProcessIdentity], bool]] = ContextVar(
    "has_ended", default=_none_has_ended
)


@contextmanager
def freed(has_ended: Callable[[ProcessIdentity], bool]) -> Iterator[None]:
    """Take leases at once during the body if ``has_ended`` says so of the process that holds them.

    It is asked about processes that this one cannot see, such as those of other machines.
    """
    _has_ended.set(has_ended)
    try:
        yield
    finally:
        _has_ended.set(_none_has_ended)


@contextmanager
def holding(
    store: Store,
    name: str,
    work: str,
    last_epoch: Callable[[], int] = lambda: 0,
    on_loss: Callable[[], None] = lambda: None,
) -> Iterator[Lease]:
    """Hold the lease of a name during the body; :func:`held_lease` returns it there.

    While another worker holds it, this one waits; a line on the console says for what ``work``.
    ``last_epoch`` returns the latest epoch that a commit knows, in case the lease was removed.
    ``on_loss`` is called by another thread once the lease is known to be lost.
    """
    assert _held.get() is None, "a worker holds one lease at a time"
    key = f"{LEASES}/{name}.json"
    lease = Lease(store, key, _taken(store, key, work, last_epoch), on_loss)
    lease.begin()
    _held.set(lease)
    try:
        yield lease
    finally:
        _held.set(None)
        lease.end()


def _taken(store: Store, key: str, work: str, last_epoch: Callable[[], int]) -> LeaseRecord:
    """Take a lease once it is free, has expired or its process is known to have ended."""
    process, token, where = ProcessIdentity.of_this(), uuid.uuid4().hex, f"{store.url}/{key}"
    is_waiting = False
    while True:
        blob = store.get(key)
        held = _record_of(blob, where) if blob else None
        if blob and held and not _is_free(held):
            if not is_waiting:
                _log.warning(_WAITING, where, _place_of(held), work, SECONDS_UNTIL_EXPIRED)
                is_waiting = True
            if not _has_expired(store, key, blob):
                continue
        record = LeaseRecord(
            epoch=1 + max(held.epoch if held else 0, last_epoch()),
            holder=process.to_json() if process else token,
            token=token,
        )
        if store.swap(key, _bytes(record), blob.tag if blob else None):
            return record


def _has_expired(store: Store, key: str, watched: Blob) -> bool:
    """Watch a lease; return whether it has stayed as it is for long enough."""
    end = time.monotonic() + SECONDS_UNTIL_EXPIRED
    while time.monotonic() < end:
        time.sleep(min(1.0, SECONDS_UNTIL_EXPIRED / 10))
        current = store.get(key)
        if current is None or current.tag != watched.tag:
            return False
    return True


@contextmanager
def stops_once_lost(lease: Lease) -> Iterator[None]:
    """Report an interrupt of the body as the loss of its lease, if that is its cause.

    Raises:
        LeaseLostError: the lease is lost.
    """
    try:
        yield
    except BaseException:
        lease.check()
        raise


def held_leases(store: Store) -> dict[str, LeaseRecord]:
    """Return the leases that have a holder, by name. Those that are free are not read."""
    entries = [each for each in store.list(LEASES) if each.size > _MAX_BYTES_OF_FREE]
    with ThreadPoolExecutor() as workers:
        blobs = list(workers.map(store.get, (each.key for each in entries)))
    return {
        each.key.removeprefix(f"{LEASES}/").removesuffix(".json"): record
        for each, blob in zip(entries, blobs, strict=True)
        if blob and (record := _record_of(blob, f"{store.url}/{each.key}")).holder
    }


def collect_leases(store: Store, age: timedelta) -> None:
    """Remove leases that were freed so long before the newest: commits know their epochs."""
    entries = store.list(LEASES)
    newest = max((each.modified for each in entries), default=datetime.min.replace(tzinfo=UTC))
    store.delete(
        each.key
        for each in entries
        if each.size <= _MAX_BYTES_OF_FREE and newest - each.modified > age
    )


def _is_free(record: LeaseRecord) -> bool:
    """Return whether a lease was released, or its holder is known to have ended."""
    process = record.process
    if process is None:
        return not record.holder
    state = process.state()
    return state == "ended" or (state == "unknown" and _has_ended.get()(process))


def _place_of(record: LeaseRecord) -> str:
    process = record.process
    return f"process {process.pid} on {process.host}" if process else "another process"


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


_MAX_BYTES_OF_FREE = len(_bytes(LeaseRecord(epoch=10**9, holder="", token="0" * 32, count=10**9)))
"""The size of a free lease. One with a holder is at least 12 bytes longer."""
