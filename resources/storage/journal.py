"""Keep the finished completions of a sampling stage, so that a killed run resumes from them.

A journal is a file of records. Each record is a mark, a length, a checksum and a content. The first
record is the header: JSON with the columns and the fingerprint of the stage's draws. Each other
record is a compressed Arrow stream of completions that finished together. A killed process leaves
at worst a partial last record, which the next run cuts off.
"""

import fcntl
import io
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import polars as pl

from resources.storage.growing_frame import GrowingFrame
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.segments import Segments
from shepherd.dependencies import Fingerprint
from shepherd.identity import content_id
from shepherd.requests import COMPLETIONS

SECONDS_BETWEEN_SYNCS = 1.0
"""A killed process loses nothing that was recorded; a power cut loses at most this much."""

SUFFIX = ".journal"

MARK = b"\xffRECORD\n"
"""Begins a record. No text holds its first byte, so that the records after a damaged one can be
counted."""

_HEAD = Struct("<8sQI")
"""Mark, length and checksum."""

_log = logging.getLogger(__name__)


class Journal:
    """An open journal. ``completions`` are the ``COMPLETIONS`` of earlier runs."""

    def __init__(
        self, file: BinaryIO, completions: pl.DataFrame, segments: Segments | None = None
    ) -> None:
        self.completions = completions
        self._file = file
        self._segments = segments
        self._block = io.BytesIO()
        self._synced = time.monotonic()

    def record(self, completions: pl.DataFrame) -> None:
        """Append ``COMPLETIONS``; from here on they survive the end of this process.

        Raises:
            ValueError: the journal is of a home in a store, which is out of reach, or another
                worker has taken the lease.
        """
        # One buffer for all records: allocating memory takes longer than filling it.
        self._block.seek(0)
        completions.write_ipc_stream(self._block, compression="lz4")
        with self._block.getbuffer() as block:
            record = block[: self._block.tell()]
            _append(self._file, record)
            if self._segments:
                self._segments.add(_head(record) + record)
        self._file.flush()
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Wait until all records would survive a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


@contextmanager
def open_journal(
    path: Path, fingerprint: Fingerprint, files: HomeFiles = LOCAL
) -> Iterator[Journal]:
    """Open the journal at ``path``, lock it, and read the completions that it holds.

    In a home in a store, those that other machines have sent are read, too.

    A journal of another fingerprint is copied to ``<name>.<hash>.aside``, and an empty one begins.

    Raises:
        ValueError: another run has the journal open: wait until that run ends, or end it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _lock(file, path)
        header = {"columns": COMPLETIONS.names(), "fingerprint": dict(fingerprint)}
        file.seek(0)
        old_header, completions, size = _read(file, header)
        if old_header not in (None, header):
            copy = _set_aside(path, old_header)
            _log.warning(
                "%s: made with other settings (%s, now %s): set aside as %s; sampling begins anew",
                path,
                json.dumps(old_header),
                json.dumps(header),
                copy.name,
            )
            old_header, completions, size = None, completions.clear(), 0
        elif size < path.stat().st_size:
            _warn_of_cut(path, file, size)
        file.truncate(size)
        if old_header is None:
            _append(file, json.dumps(header).encode())
            file.flush()
        with _journal_of(file, completions, files.segments(path, header)) as journal:
            try:
                yield journal
            finally:
                journal.sync()


@contextmanager
def _journal_of(
    file: BinaryIO, completions: pl.DataFrame, segments: Segments | None
) -> Iterator[Journal]:
    """Join the completions of a file and its segments; send those that only the file has."""
    if segments is None:
        yield Journal(file, completions)
        return
    sent = completions_in(segments.load())
    unsent = completions.join(sent, on="request_id", how="anti", maintain_order="left")
    with segments.sending():
        journal = Journal(file, pl.concat([sent, unsent]), segments)
        if unsent.height:
            journal.record(unsent)
        yield journal


def completions_in(segments: Iterable[bytes]) -> pl.DataFrame:
    """Return the completions of segments that :class:`.segments.Segments` sent."""
    completions = GrowingFrame(COMPLETIONS)
    for segment in segments:
        for record in _records(io.BytesIO(segment)):
            completions.add(pl.read_ipc_stream(record))
    return completions.frame()


def read_journal(path: Path) -> pl.DataFrame:
    """Return the completions of a journal, also while a run writes it.

    There are none if another version of the pipeline wrote it, with other columns.
    """
    with path.open("rb") as file:
        return _read(file, None)[1]


def num_damaged_bytes(path: Path) -> int:
    """Return the number of bytes after the last whole record; a killed run leaves a partial one."""
    with path.open("rb") as file:
        return path.stat().st_size - _read(file, None)[2]


def fingerprints(folder: Path) -> dict[str, Fingerprint]:
    """Return the fingerprint of each journal in a folder, by the name of its model."""
    by_name = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            first = next(_records(file), None)
        if first is not None:
            by_name[path.stem] = json.loads(first)["fingerprint"]
    return by_name


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        # The kernel drops the lock with the process, however that ends.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"{path}: another run is sampling this partition: wait until it ends, or end it"
        ) from error


def _append(file: BinaryIO, record: bytes | memoryview) -> None:
    file.write(_head(record))
    file.write(record)


def _head(record: bytes | memoryview) -> bytes:
    return _HEAD.pack(MARK, len(record), zlib.crc32(record))


def _records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of each record from the start, up to the first partial or damaged one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        mark, length, checksum = _HEAD.unpack(head)
        if mark != MARK or length > size - file.tell():
            return
        record = file.read(length)
        if zlib.crc32(record) != checksum:
            return
        yield record


def _read(file: BinaryIO, expected: object) -> tuple[object, pl.DataFrame, int]:
    """Return the header, the completions, and the number of bytes that they take.

    Reading stops at the first partial or damaged record. The header is None if the first record is
    one. If ``expected`` is given and the header differs, no completions are read; nor are those of
    other columns.
    """
    header, size, has_columns = None, 0, False
    completions = GrowingFrame(COMPLETIONS)
    for record in _records(file):
        if size == 0:
            header = json.loads(record)
            if expected not in (None, header):
                break
            has_columns = header["columns"] == COMPLETIONS.names()
        elif has_columns:
            completions.add(pl.read_ipc_stream(record))
        size += _HEAD.size + len(record)
    return header, completions.frame(), size


def _warn_of_cut(path: Path, file: BinaryIO, size: int) -> None:
    """Log what is cut off after ``size`` bytes.

    The file is copied first, unless only a partial last record is lost: if more records follow,
    or if the file is no journal at all.
    """
    file.seek(size)
    tail = file.read()
    num_after = tail.count(MARK, 1)
    is_journal = size > 0 or tail.startswith(MARK[: len(tail)])
    if is_journal and not num_after:
        _log.warning(
            "%s: cut off %d bytes after the last whole record, as a killed run leaves them",
            path,
            len(tail),
        )
        return
    copy = _set_aside(path, size)
    _log.warning(
        "%s: damaged at byte %d: that record and those after it (%d) will be drawn again; the "
        "whole journal is kept as %s",
        path,
        size,
        num_after,
        copy.name,
    )


def _set_aside(path: Path, reason: object) -> Path:
    """Copy a journal beside itself; return the copy, whose name holds a hash of ``reason``."""
    copy = path.with_name(f"{path.name}.{content_id(json.dumps(reason))}.aside")
    shutil.copyfile(path, copy)
    return copy
