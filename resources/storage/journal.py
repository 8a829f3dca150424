"""The journal of a sampling stage: each finished completion, on disk before the next is awaited.

A file of records, each a mark, its length, its checksum and what it holds: the first the settings
that the completions depend on, as JSON, the others the completions that finished together, as a
compressed Arrow stream. A process that is killed leaves at worst a partial last record, which
the next run cuts off.
"""

import fcntl
import io
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import polars as pl

from resources.sampling.growing_frame import GrowingFrame
from shepherd.identity import content_id
from shepherd.requests import COMPLETIONS

SECONDS_BETWEEN_SYNCS = 1.0
"""A killed process loses nothing that was recorded; a power cut loses at most this much."""

SUFFIX = ".journal"

MARK = b"\xffRECORD\n"
"""Begins a record. No text holds its first byte, so that records behind a damaged one count."""

Fingerprint = Mapping[str, str | int | float]
"""The settings that the completions depend on, by name."""

_HEAD = Struct("<8sQI")
"""Mark, length and checksum."""

_log = logging.getLogger(__name__)


class Journal:
    """An open journal. ``found`` are the ``COMPLETIONS`` that it held when it was opened."""

    def __init__(self, file: BinaryIO, found: pl.DataFrame) -> None:
        self.found = found
        self._file = file
        self._block = io.BytesIO()
        self._synced = time.monotonic()

    def record(self, completions: pl.DataFrame) -> None:
        """Append ``COMPLETIONS``; they survive this process from here on."""
        # One buffer for all records: to take its memory anew costs more than to fill it.
        self._block.seek(0)
        completions.write_ipc_stream(self._block, compression="lz4")
        with self._block.getbuffer() as block:
            _append(self._file, block[: self._block.tell()])
        self._file.flush()
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Wait until what was recorded would survive a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


@contextmanager
def open_journal(path: Path, fingerprint: Fingerprint) -> Iterator[Journal]:
    """Open the journal at ``path``, resuming what it holds; nobody else can meanwhile.

    A journal of another fingerprint is copied aside and a new one begun.

    Raises:
        ValueError: another run has it open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _lock(file, path)
        header = {"columns": COMPLETIONS.names(), "fingerprint": dict(fingerprint)}
        file.seek(0)
        found, completions, size = _read(file, header)
        if found not in (None, header):
            aside = _set_aside(path, found)
            _log.warning(
                "%s: made with other settings (%s, now %s): set aside as %s; sampling begins anew",
                path,
                json.dumps(found),
                json.dumps(header),
                aside.name,
            )
            found, completions, size = None, completions.clear(), 0
        elif size < path.stat().st_size:
            _tell_of_the_rest(path, file, size)
        file.truncate(size)
        if found is None:
            _append(file, json.dumps(header).encode())
            file.flush()
        journal = Journal(file, completions)
        try:
            yield journal
        finally:
            journal.sync()


def read_journal(path: Path) -> pl.DataFrame:
    """Return the completions that a journal holds, also while a run writes it."""
    with path.open("rb") as file:
        return _read(file, None)[1]


def fingerprints(folder: Path) -> dict[str, Fingerprint]:
    """Return the fingerprint of each journal in a folder, by its name without the suffix."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            for first in _records(file):
                found[path.stem] = json.loads(first)["fingerprint"]
                break
    return found


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        # The kernel drops the lock with the process, however that ends.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"{path}: another run is sampling this partition: wait until it ends, or end it"
        ) from error


def _append(file: BinaryIO, record: bytes | memoryview) -> None:
    file.write(_HEAD.pack(MARK, len(record), zlib.crc32(record)))
    file.write(record)


def _records(file: BinaryIO) -> Iterator[bytes]:
    """Yield what the records of a file hold, up to the first that is not whole."""
    size = os.fstat(file.fileno()).st_size
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        mark, length, checksum = _HEAD.unpack(head)
        if mark != MARK or length > size - file.tell():
            return
        record = file.read(length)
        if zlib.crc32(record) != checksum:
            return
        yield record


def _read(file: BinaryIO, expected: object) -> tuple[object, pl.DataFrame, int]:
    """Return header, completions up to the first record that is not whole, and their bytes.

    The header is null if there is no whole record. Behind another header than the ``expected``
    one nothing is read; null expects any.
    """
    header, size = None, 0
    completions = GrowingFrame(COMPLETIONS)
    for record in _records(file):
        if size == 0:
            header = json.loads(record)
            if expected not in (None, header):
                break
        else:
            completions.add(pl.read_ipc_stream(record))
        size += _HEAD.size + len(record)
    return header, completions.frame(), size


def _tell_of_the_rest(path: Path, file: BinaryIO, size: int) -> None:
    """Say what is cut off after ``size`` bytes; keep a copy if it is more than a last record."""
    file.seek(size)
    rest = file.read()
    num_after = rest.count(MARK, 1)
    is_journal = size > 0 or rest.startswith(MARK[: len(rest)])
    if is_journal and not num_after:
        _log.warning(
            "%s: cut off %d bytes after the last whole record, as a killed run leaves them",
            path,
            len(rest),
        )
        return
    aside = _set_aside(path, size)
    _log.warning(
        "%s: damaged at byte %d: that record and those after it (%d) will be drawn again; the "
        "whole journal is kept as %s",
        path,
        size,
        num_after,
        aside.name,
    )


def _set_aside(path: Path, what: object) -> Path:
    aside = path.with_name(f"{path.name}.{content_id(json.dumps(what))}.aside")
    shutil.copyfile(path, aside)
    return aside
