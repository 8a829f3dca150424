"""Read the records of CSV files."""

import csv
import json
from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from resources.files.lines import MARKED, Line, refuse_repeated_columns

MAX_RECORD_CHARACTERS = 2**20
MISSING = frozenset(
    ["#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
).union(["<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"])
"""Cells that stand for a missing value: those that pandas.read_csv takes for one."""


def csv_rows(path: Path, field: str) -> Iterator[Line]:
    """Yield the records of a CSV file, each with the number of its first line.

    A cell of ``MISSING`` is null, as CSV has no other way to say so.
    A record that breaks is set aside by its first line alone, as its quote may never be closed;
    its other lines are read again.
    """
    with path.open(encoding="utf-8-sig", errors=MARKED, newline="") as file:
        lines = _RecordLines(file)
        # Not strict, a quote that is never closed would make one cell of the rest of the file.
        records = csv.reader(lines, strict=True)
        try:
            header = next(records, [])
        except csv.Error as error:
            raise ValueError(
                f"{path}: its header is not CSV ({error}): correct the file"
            ) from error
        _check_header(path, field, header)
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
                values = (None if cell in MISSING else cell for cell in cells)
                row = dict(zip_longest(header, values))
                yield Line(str(path), lines.first, json.dumps(row).encode())


def _check_header(path: Path, field: str, header: list[str]) -> None:
    if not "".join(header).isprintable():
        raise ValueError(
            f"{path}: its header is not UTF-8 text: save it as CSV in UTF-8, or correct {field}"
        )
    refuse_repeated_columns(path, header)


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
        return "".join(self._record).rstrip("\r\n").encode(errors=MARKED)

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
