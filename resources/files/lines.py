"""The rows of input files: a row is a line of JSON here, whatever file it comes from."""

import codecs
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
from pydantic_core import from_json

from shepherd.messages import shown
from shepherd.schemas import REJECTED

SHOWN_BYTES, _SHOWN_CHARACTERS = 4_000, 1_000
"""How much of a rejected row is kept."""

MARKED = "surrogateescape"
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
        shown = line.raw[:SHOWN_BYTES].decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
        return cls(line.file, line.number, reason, shown)


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


def refuse_repeated_columns(path: object, names: Sequence[str]) -> None:
    """Raise ValueError if two columns of a table have one name; unnamed ones may be many."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path}: two columns are named {shown(name)}: rename or remove one")
        if name.strip():
            seen.add(name)
