"""Read the rows of input files: JSONL, Parquet, CSV and folders of JSON.

A row is a line of JSON here, whatever file it comes from. A bad row is rejected with a reason. A
file is never held in memory as a whole.
"""

import codecs
import csv
import gzip
import json
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from pydantic_core import from_json

from shepherd.schemas import REJECTED

if TYPE_CHECKING:
    import pyarrow

MAX_LINE_BYTES = 16 * 2**20
MAX_RECORD_CHARACTERS = 2**20
_SHOWN_BYTES, _SHOWN_CHARACTERS = 4_000, 1_000
_MARKED = "surrogateescape"
"""Error handler by which bytes that are not UTF-8 become lone surrogates. Parsers of rows refuse
these as no text."""


class Line(NamedTuple):
    """One row of a file; ``number`` counts from 1. ``fault`` says why it could not be read."""

    file: str
    number: int
    raw: bytes
    fault: str = ""

    def parse(self) -> object:
        """Return the decoded JSON value.

        Raises:
            ValueError: the line could not be read, is not UTF-8 or not JSON.
        """
        if self.fault:
            raise ValueError(f"row: {self.fault}")
        try:
            # Five times as fast as json, which says more of what is wrong and reads a little more.
            return from_json(self.raw)
        except ValueError:
            return _parse_or_explain(self.raw)


def _parse_or_explain(raw: bytes) -> object:
    try:
        # A file that was saved on Windows may open with a byte order mark.
        return json.loads(raw.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"row: is not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"row: is not JSON (column {error.colno}: {error.msg})") from error
    except RecursionError as error:
        raise ValueError("row: is not JSON of reasonable depth") from error
    except ValueError as error:
        raise ValueError("row: holds a number of thousands of digits") from error


@dataclass(frozen=True)
class Rejection:
    """A row that could not be used, and why."""

    file: str
    number: int
    reason: str
    content: str

    @classmethod
    def of(cls, line: Line, reason: str) -> "Rejection":
        """Reject a line, keeping the beginning of its content."""
        shown = line.raw[:_SHOWN_BYTES].decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
        return cls(line.file, line.number, reason, shown)


def read_rows(path: Path, field: str) -> Iterator[Line]:
    """Yield the rows of a .jsonl, .jsonl.gz, .parquet or .csv file, or of a folder's .json files.

    Blank lines are skipped. A folder is read with its subfolders, in the order of its paths,
    one row a file.

    Raises:
        ValueError: there is no such file, it is of another kind, or it is broken as a whole;
            ``field`` is the field of the profile that names it.
    """
    if path.is_dir():
        return _json_files(path, field)
    for suffix, read in _READERS.items():
        if path.name.endswith(suffix):
            if not path.is_file():
                break
            return read(path)
    known = ", ".join(_READERS)
    problem = "is none of these kinds" if path.is_file() else "no such file"
    raise ValueError(f"{path}: {problem}: set {field} to a {known} file, or a folder of .json")


def _json_lines(path: Path) -> Iterator[Line]:
    name, number = str(path), 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while raw := file.readline(MAX_LINE_BYTES):
                number += 1
                if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                    fault = f"is longer than {MAX_LINE_BYTES // 2**20} MiB"
                    yield Line(name, number, raw[:_SHOWN_BYTES], fault)
                elif not raw.isspace():
                    yield Line(name, number, raw.rstrip(b"\r\n"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip stream ({error}): fetch the file again") from error


def _json_files(folder: Path, field: str) -> Iterator[Line]:
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: the folder holds no .json file: correct {field}")
    for path in paths:
        with path.open("rb") as file:
            raw = file.read(MAX_LINE_BYTES + 1)
        fault = "" if len(raw) <= MAX_LINE_BYTES else f"is longer than {MAX_LINE_BYTES} bytes"
        yield Line(str(path), 1, raw, fault)


def _parquet_rows(path: Path) -> Iterator[Line]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1_000):
                for row in _fields_of(batch):
                    number += 1
                    fault = "is not UTF-8" if row is None else ""
                    raw = json.dumps(row, default=_as_text).encode()
                    yield Line(str(path), number, raw, fault)
    except (pyarrow.ArrowInvalid, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: broken Parquet ({reason}): fetch the file again") from error


def _fields_of(batch: "pyarrow.RecordBatch") -> list[dict[str, object] | None]:
    """Return the rows of a record batch; None for one whose text is not UTF-8."""
    try:
        rows: list[dict[str, object] | None] = batch.to_pylist()
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            return [None]
        singles = (batch.slice(index, 1) for index in range(batch.num_rows))
        rows = [row for single in singles for row in _fields_of(single)]
    return rows


def _as_text(value: object) -> str:
    # Some writers of Parquet do not say of text that it is text.
    return value.decode(errors=_MARKED) if isinstance(value, bytes) else str(value)


def _csv_rows(path: Path) -> Iterator[Line]:
    """Yield the records of a CSV file, each with the number of its first line.

    A record that breaks is set aside by its first line alone, as its quote may never be closed;
    its other lines are read again.
    """
    with path.open(encoding="utf-8-sig", errors=_MARKED, newline="") as file:
        lines = _RecordLines(file)
        # Not strict, a quote that is never closed would make one cell of the rest of the file.
        records = csv.reader(lines, strict=True)
        try:
            header = next(records, [])
        except csv.Error as error:
            raise ValueError(
                f"{path}: its header is not CSV ({error}): correct the file"
            ) from error
        last_doubtful = 0
        while True:
            lines.begin_record()
            try:
                cells = next(records, None)
            except csv.Error as error:
                last_doubtful = max(last_doubtful, lines.last)
                lines.read_again()
                yield Line(str(path), lines.first, lines.raw, f"is not CSV ({error})")
                continue
            if cells is None:
                return
            if len(cells) > len(header):
                yield Line(str(path), lines.first, lines.raw, "has more cells than the header")
            elif cells and len(cells) < len(header) and lines.first <= last_doubtful:
                # It may be prose from within the cell that broke.
                fault = "has fewer cells than the header, after a broken row"
                yield Line(str(path), lines.first, lines.raw, fault)
            elif cells:
                row = dict(zip_longest(header, cells))
                yield Line(str(path), lines.first, json.dumps(row).encode())


class _RecordLines(Iterator[str]):
    """The lines of a CSV file; it holds those of the latest record.

    ``first`` is the number of the record's first line.
    """

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._num_characters = 0
        self.first = 1

    @property
    def last(self) -> int:
        """The number of the record's last line."""
        return self.first + len(self._record) - 1

    @property
    def raw(self) -> bytes:
        """The record as in the file."""
        return "".join(self._record).rstrip("\r\n").encode(errors=_MARKED)

    def __next__(self) -> str:
        # Bounds what is held, and how often a line is read again.
        if self._num_characters > MAX_RECORD_CHARACTERS:
            raise csv.Error(f"a row of more than {MAX_RECORD_CHARACTERS:,} characters")
        line = self._again.popleft() if self._again else next(self._file)
        self._num_characters += len(line)
        self._record.append(line)
        return line

    def begin_record(self) -> None:
        """Let the next line be the first of a record."""
        self.first += len(self._record)
        self._record, self._num_characters = [], 0

    def read_again(self) -> None:
        """Keep the first line alone as the record, and let its other lines come again."""
        first, *others = self._record
        self._again.extendleft(reversed(others))
        self._record = [first]


_READERS = {
    ".jsonl": _json_lines,
    ".jsonl.gz": _json_lines,
    ".parquet": _parquet_rows,
    ".csv": _csv_rows,
}


def rejected_frame(dataset: str, rejections: Sequence[Rejection]) -> pl.DataFrame:
    """Return the table REJECTED of the rejections."""
    return pl.DataFrame(
        {
            "dataset": [dataset] * len(rejections),
            "file": [rejection.file for rejection in rejections],
            "line": [rejection.number for rejection in rejections],
            "reason": [rejection.reason for rejection in rejections],
            "content": [rejection.content for rejection in rejections],
        },
        schema=REJECTED.schema,
    )


def refuse_many(
    first: Rejection | None, num_rejected: int, num_rows: int, max_share: float, field: str
) -> None:
    """Raise ValueError naming the first rejection if they are more than a share of the rows.

    ``field`` is what the user may raise to let more of them pass.
    """
    if first is not None and num_rejected > max_share * num_rows:
        raise ValueError(
            f"{first.file} line {first.number}: {first.reason} (the first of {num_rejected} bad "
            f"rows of {num_rows}): correct the file, or raise {field} above {max_share:g}"
        )
