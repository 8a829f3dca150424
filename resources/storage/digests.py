"""Put a digest of a Parquet file into its own footer, and check it.

The digest is the SHA-256 of all bytes of the file, with zeros in place of its own 64 digits. So it
covers the pages, the statistics and the rest of the footer: no changed bit goes unnoticed.
"""

import io
import os
import time
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TypeAlias

import polars as pl

FIELD = "shepherd.digest"
"""The last field of the footer's metadata."""

_PREFIX = "shepherd-sha256:"
"""Begins the field's value: if a damaged bit hides the field's name, this still shows that the
file has a digest."""

_NUM_DIGITS = 64
_ZEROS = b"0" * _NUM_DIGITS
_BEFORE_DIGITS = (
    # Thrift writes the type and length of a string in front of it.
    FIELD.encode() + b"\x18" + bytes([len(_PREFIX) + _NUM_DIGITS]) + _PREFIX.encode()
)

_TAIL_BYTES = 65_536
"""The metadata is at the end of the footer. Behind it are a name of the writer and some bytes a
column."""

NANOSECONDS_TO_SETTLE = 2_000_000_000
"""Age from which a file is not checked again: within one tick of the file system's clock, a file
can change without a new time stamp."""

_Stamp: TypeAlias = tuple[int, int, int]
"""Inode, size and time of the last change of a file."""


def write_parquet(
    frame: pl.DataFrame, file: BinaryIO, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a frame with a digest. Equal frames and metadata give equal bytes."""
    buffer = io.BytesIO()
    # One chunk, so that the bytes do not depend on how the frame was concatenated. Compression
    # level 3, the default, is slower on our tables, and the files are no smaller.
    frame.rechunk().write_parquet(
        buffer,
        compression="zstd",
        compression_level=1,
        metadata={**(metadata or {}), FIELD: _PREFIX + _ZEROS.decode()},
    )
    with buffer.getbuffer() as data:
        start = _start_of_digest(data)
        assert start is not None, "polars writes metadata in another form"
        data[start : start + _NUM_DIGITS] = sha256(data).hexdigest().encode()
        file.write(data)


def check_digest(path: Path) -> bool:
    """Check a file against its digest, once per file and process; return whether it has one.

    Files of earlier versions of the pipeline have none.

    Raises:
        ValueError: the bytes of the file are not those that were written. The message does not
            name the file.
    """
    status = path.stat()
    is_settled = status.st_ctime_ns < time.time_ns() - NANOSECONDS_TO_SETTLE
    check = _check_once if is_settled else _check
    return check(path, (status.st_ino, status.st_size, status.st_ctime_ns))


def digest_in_footer(path: Path) -> str | None:
    """Return the digest that a file's footer holds, without a check; None if there is none.

    A damaged digest is returned as it is.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    start = tail.rfind(_BEFORE_DIGITS)
    if start < 0:
        return None
    start += len(_BEFORE_DIGITS)
    return tail[start : start + _NUM_DIGITS].decode("ascii", "replace")


def _check(path: Path, _stamp: _Stamp) -> bool:
    data = path.read_bytes()
    start = _start_of_digest(data)
    if start is None:
        return False
    view, end = memoryview(data), start + _NUM_DIGITS
    hashed = sha256(view[:start])
    hashed.update(_ZEROS)
    hashed.update(view[end:])
    if hashed.hexdigest().encode() != view[start:end]:
        raise ValueError("is damaged: its bytes are not those that were written")
    return True


@cache
def _check_once(path: Path, stamp: _Stamp) -> bool:
    """Check a settled file; another stamp is another file."""
    return _check(path, stamp)


def _start_of_digest(data: bytes | memoryview) -> int | None:
    """Return where the digits of a file's digest begin, or None if it has no digest.

    If only a part of the field is there, its first byte is returned, and no digest fits.
    """
    tail = bytes(data[-_TAIL_BYTES:])
    offset = len(data) - len(tail)
    start = tail.rfind(_BEFORE_DIGITS)
    if start >= 0:
        return offset + start + len(_BEFORE_DIGITS)
    marks = (tail.rfind(FIELD.encode()), tail.rfind(_PREFIX.encode()))
    return None if max(marks) < 0 else offset + max(marks)
