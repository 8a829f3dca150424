"""The journal of a sampling stage: each finished completion, on disk before the next is awaited.

A JSONL file: a header with the settings that the completions depend on, then a line for the
completions that finished together, a list for each field. A process that is killed leaves at worst
a partial last line, which the next run cuts off.
"""

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice, starmap
from pathlib import Path
from typing import BinaryIO

import polars as pl
from pydantic_core import from_json, to_json

from shepherd.identity import content_id
from shepherd.requests import COMPLETIONS, Completion, completion_block

SECONDS_BETWEEN_SYNCS = 1.0
"""A killed process loses nothing that was recorded; a power cut loses at most this much."""

Fingerprint = Mapping[str, str | int | float]
"""The settings that the completions depend on, by name."""

_log = logging.getLogger(__name__)


class Journal:
    """An open journal. ``found`` is what it held when it was opened, in the order of recording."""

    def __init__(self, file: BinaryIO, found: pl.DataFrame) -> None:
        self.found = found
        self._file = file
        self._synced = time.monotonic()

    def record(self, completions: pl.DataFrame) -> None:
        """Append ``COMPLETIONS``; they survive this process from here on."""
        self._file.write(_line(completions.to_dict(as_series=False)))
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
        header = {"fingerprint": dict(fingerprint)}
        file.seek(0)
        found, completions, size = _read(file)
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
            file.write(_line(header))
        journal = Journal(file, completions)
        journal.sync()
        try:
            yield journal
        finally:
            journal.sync()


def fingerprints(folder: Path) -> dict[str, Fingerprint]:
    """Return the fingerprint of each journal in a folder, by its name without ``.jsonl``."""
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            header, _, _ = _read(islice(file, 1))
        if isinstance(header, dict):
            found[path.stem] = header["fingerprint"]
    return found


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        # The kernel drops the lock with the process, however that ends.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"{path}: another run is sampling this partition: wait until it ends, or end it"
        ) from error


def _read(lines: Iterable[bytes]) -> tuple[object, pl.DataFrame, int]:
    """Return header, completions up to the first record that is not whole, and their bytes.

    The header is null if there is no whole record.
    """
    header, size = None, 0
    completions: list[Completion] = []
    for line in lines:
        try:
            if not line.endswith(b"\n"):
                break
            record = from_json(line)
            if size == 0:
                header = record
            else:
                columns = [record[field] for field in COMPLETIONS]
                completions += list(starmap(Completion, zip(*columns, strict=True)))
        except (ValueError, TypeError, KeyError):
            break
        size += len(line)
    return header, completion_block(completions), size


def _line(record: Mapping[str, object]) -> bytes:
    return to_json(record) + b"\n"


def _tell_of_the_rest(path: Path, file: BinaryIO, size: int) -> None:
    """Say what is cut off after ``size`` bytes; keep a copy if it is more than a last line."""
    file.seek(size)
    rest = file.read()
    if b"\n" not in rest[:-1]:
        _log.warning(
            "%s: cut off %d bytes after the last whole record, as a killed run leaves them",
            path,
            len(rest),
        )
        return
    aside = _set_aside(path, size)
    _log.warning(
        "%s: damaged at byte %d: it and the %d lines after it will be drawn again; the whole "
        "journal is kept as %s",
        path,
        size,
        rest[:-1].count(b"\n"),
        aside.name,
    )


def _set_aside(path: Path, what: object) -> Path:
    aside = path.with_name(f"{path.name}.{content_id(json.dumps(what))}.aside")
    shutil.copyfile(path, aside)
    return aside
