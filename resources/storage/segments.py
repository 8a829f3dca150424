"""Send the records of a journal to a store while they are drawn: one object a second at most.

    journals/<stage>/<dataset>/<shard>/<model>.journal/<fingerprint>/<epoch>/<number>

Each holder of the stage's lease has an epoch of its own, so that no segment is ever replaced. The
next holder reads those of all epochs. A killed process loses what was in flight, since its records
are in the file of the journal, too; a lost machine loses at most one second more.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import accumulate, islice, takewhile

from resources.storage.commits import NUM_REQUESTS
from resources.storage.leases import Lease, LeaseLostError
from resources.storage.store import Store, StoreError
from shepherd.identity import content_id

JOURNALS = "journals"

SECONDS_BETWEEN_SEGMENTS = 1.0
SEGMENT_BYTES = 4 * 2**20
"""Records that are sent before the second is over."""

MAX_WAITING_BYTES = 2**28
"""Records that may wait for a slow store; drawing then waits, too."""


class Segments:
    """The segments of one journal, of one fingerprint."""

    def __init__(self, store: Store, folder: str, fingerprint: object, lease: Lease) -> None:
        self._store, self._lease = store, lease
        self._folder = f"{folder}/{content_id(json.dumps(fingerprint, sort_keys=True))}"
        self._number = 0
        self._waiting: deque[bytes] = deque()
        self._num_bytes = 0
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._is_closed = False
        self._sender = threading.Thread(target=self._send_again, daemon=True)

    def load(self) -> list[bytes]:
        """Return the segments of all epochs, in order."""
        keys = [entry.key for entry in self._store.list(self._folder)]
        with ThreadPoolExecutor(NUM_REQUESTS) as workers:
            blobs = workers.map(self._store.get, keys)
            return [blob.data for blob in blobs if blob is not None]

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send what :meth:`add` gets during the body, and the rest at its end."""
        self._sender.start()
        try:
            yield
        except BaseException:
            # What the body reports matters more than what cannot be sent.
            with suppress(StoreError, LeaseLostError):
                self._close()
            raise
        self._close()

    def add(self, record: bytes) -> None:
        """Send a record soon. Waits while too many wait for the store.

        Raises:
            StoreError: the store is out of reach, or refuses the segments.
            LeaseLostError: another worker draws here now.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._num_bytes < MAX_WAITING_BYTES)
            self._raise_error()
            self._waiting.append(record)
            self._num_bytes += len(record)
            if self._num_bytes >= SEGMENT_BYTES:
                self._changed.notify_all()
        self._lease.check()

    def _close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._sender.join()
        self._raise_error()
        while self._waiting:
            self._send()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _send_again(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_closed or self._num_bytes >= SEGMENT_BYTES,
                    SECONDS_BETWEEN_SEGMENTS,
                )
                if self._is_closed:
                    return
            try:
                self._send()
            except (StoreError, LeaseLostError) as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return

    def _send(self) -> None:
        """Send records that wait, as one segment that a slow store takes in time."""
        if records := self._next_records():
            key = f"{self._folder}/{self._lease.epoch:06}/{self._number:06}"
            if not self._store.put_new(key, b"".join(records)):
                raise LeaseLostError(self._lease.lost_message)
            self._number += 1
            with self._changed:
                for record in records:
                    self._waiting.popleft()
                    self._num_bytes -= len(record)
                self._changed.notify_all()

    def _next_records(self) -> list[bytes]:
        """Return the first records that wait, up to the one that fills a segment."""
        with self._changed:
            ends = accumulate(map(len, self._waiting))
            num_before = sum(1 for _ in takewhile(SEGMENT_BYTES.__gt__, ends))
            return list(islice(self._waiting, num_before + 1))
