"""The rows of input files: a row is a line of JSON here, whatever file it comes from."""

import codecs
import json
import re
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
            ValueError: the line could not be read, is not UTF-8 or not JSON, or repeats a key.
        """
        if self.fault:
            raise ValueError(f"row: {self.fault}")
        try:
            # Five times as fast as json, which says more of what is wrong and reads a little more.
            value = from_json(self.raw)
        except ValueError:
            return _parse_or_explain(self.raw)
        return _parse_or_explain(self.raw) if _may_repeat_key(self.raw, value) else value


_SPACE_BEFORE_COLON = re.compile(rb'"\s+:')


class _RepeatedKeyError(ValueError):
    """An object of JSON holds two values of one key, of which parsers drop one."""


def _may_repeat_key(raw: bytes, value: object) -> bool:
    """Return False if surely no object of a row repeats a key.

    A quote and a colon stand behind each key, and behind few quotes of texts. If there are as many
    as the parsed row has keys, no key was dropped. To look at each key takes five times as long.
    """
    is_counted = _num_keys(value) == raw.count(b'":') and not _SPACE_BEFORE_COLON.search(raw)
    return not is_counted


def _num_keys(value: object) -> int:
    """Return the number of keys of all objects in a value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_num_keys, value.values()))
    return sum(map(_num_keys, value)) if isinstance(value, list) else 0


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKeyError(repeated)
    return fields


def _parse_or_explain(raw: bytes) -> object:
    try:
        # A file that was saved on Windows may open with a byte order mark.
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
        return json.loads(text, object_pairs_hook=_without_repeats)
    except _RepeatedKeyError as error:
        raise ValueError(f"row: repeats the key {shown(str(error))}") from error
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
