"""Lines of JSONL files, plain or gzipped; a line that is no JSON is set aside with its reason."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shepherd.schemas import REJECTED


@dataclass(frozen=True)
class Line:
    """One line of a file; ``number`` counts from 1."""

    file: str
    number: int
    raw: bytes

    def parse(self) -> object:
        """Return the decoded JSON value.

        Raises:
            ValueError: the line is not UTF-8 or not JSON.
        """
        try:
            # A file that was saved on Windows may open with a byte order mark.
            return json.loads(self.raw.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"row: is not UTF-8 at byte {error.start + 1}") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"row: is not JSON (column {error.colno}: {error.msg})") from error
        except RecursionError as error:
            raise ValueError("row: is not JSON of reasonable depth") from error


@dataclass(frozen=True)
class Rejection:
    """A line that could not be used, and why."""

    line: Line
    reason: str


def read_lines(path: Path, field: str) -> Iterator[Line]:
    """Yield the lines of a .jsonl or .jsonl.gz file that are not blank.

    Raises:
        ValueError: there is no such file, or its gzip stream is broken; ``field`` is the field of
            the profile that names it.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file: set {field} in the profile to a .jsonl file")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield Line(str(path), number, raw.rstrip(b"\r\n"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip stream ({error}): fetch the file again") from error


def rejected_frame(dataset: str, rejections: Sequence[Rejection]) -> pl.DataFrame:
    """Return the table REJECTED of the rejections."""
    rows: list[Mapping[str, object]] = [
        {
            "dataset": dataset,
            "file": rejection.line.file,
            "line": rejection.line.number,
            "reason": rejection.reason,
            "content": rejection.line.raw[:4_000].decode("utf-8", "replace")[:1_000],
        }
        for rejection in rejections
    ]
    return pl.DataFrame(rows, schema=REJECTED.schema)


def refuse_many(
    rejections: Sequence[Rejection], num_rows: int, max_share: float, dataset: str
) -> None:
    """Raise ValueError naming the first rejection if they are more than a share of the rows."""
    if len(rejections) > max_share * num_rows:
        first = rejections[0]
        raise ValueError(
            f"{first.line.file} line {first.line.number}: {first.reason} (the first of "
            f"{len(rejections)} bad rows of {num_rows}): correct the file, or raise "
            f"datasets.{dataset}.max_rejected_share above {max_share:g}"
        )
