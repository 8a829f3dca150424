"""Check the rows that trainers read, and name the file, the row and the column of a bad one."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path

import polars as pl

FIX_ROW = "correct the row, or leave it out"
FIX_LABELS = "write 1 for a right step, 0 for a wrong one or a share between, or leave the row out"
LABEL_COLUMNS = ("labels", "hard", "soft")
LABEL_TOLERANCE = 1e-6
"""A label may leave [0, 1] by this much, as sums in float32 do; it is then clipped."""

TRL_COLUMNS = {"prompt", "completions"}
"""Columns of TRL's stepwise format, which `shepherd labels import` reads."""


def check_row(columns: Sequence[str], values: Sequence[object], *, is_whole: bool = False) -> None:
    """Check the values of one row.

    Every text is text, there is at least one step, and each step has a label: true, false or a
    number in [0, 1], up to ``LABEL_TOLERANCE``. A soft label may be null.

    Args:
        columns: names of the values, each a key of ``COLUMN_CHECKS``.
        values: what the row holds.
        is_whole: whether the row must hold one step, the whole solution, as an ORM reads it.

    Raises:
        ValueError: a value is something else. The message names the column and the way out.
    """
    row = dict(zip(columns, values, strict=True))
    for name, value in row.items():
        COLUMN_CHECKS[name](name, value)
    steps = row.get("steps")
    for name in LABEL_COLUMNS:
        labels = row.get(name)
        if isinstance(steps, list) and isinstance(labels, list) and len(labels) != len(steps):
            raise ValueError(
                f"{name}: {len(labels)} for {len(steps)} steps: write one label for each step"
            )
    if is_whole and isinstance(steps, list) and len(steps) != 1:
        raise ValueError(
            f"steps: {len(steps)} texts: an ORM reads the whole solution as one text with one "
            "label: join them, or train a PRM"
        )


def check_columns(names: Sequence[str], columns: Sequence[str], where: str) -> None:
    """Check that rows have columns.

    Raises:
        ValueError: some are missing. The message names them and the columns that there are.
    """
    missing = [column for column in columns if column not in names]
    if not missing:
        return
    hint = "correct the files"
    if set(names) >= TRL_COLUMNS:
        hint = "import TRL's format with `shepherd labels import FILE --format trl` first"
    raise ValueError(
        f"{where}: needs columns {', '.join(missing)}, but the files have {', '.join(names)}: "
        f"{hint}"
    )


def check_files(
    paths: Sequence[Path], flag: str, columns: Sequence[str], *, is_whole: bool = False
) -> None:
    """Check every row of Parquet files, read in batches.

    Raises:
        ValueError: a file lacks a column or is broken, or a row is bad. The message names the
            file and the row, counted from 1.
    """
    for path in paths:
        where = f"{flag}: {path}"
        number = 0
        try:
            rows = pl.scan_parquet(path, glob=False)
            check_columns(rows.collect_schema().names(), columns, where)
            for batch in rows.select(columns).collect_batches(maintain_order=True):
                for values in batch.iter_rows():
                    number += 1
                    try:
                        check_row(columns, values, is_whole=is_whole)
                    except ValueError as error:
                        raise ValueError(f"{where} row {number}: {error}") from error
        except pl.exceptions.PolarsError as error:
            cause = " ".join(str(error).split())
            raise ValueError(f"{where} cannot be read as Parquet: {cause}") from error


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {_shown(value)} is no text: {FIX_ROW}")


def _check_optional_text(name: str, value: object) -> None:
    if value is not None:
        _check_text(name, value)


def _check_hash(name: str, value: object) -> None:
    """Check an id of the lake: held-out problems are selected by its first digits."""
    if not isinstance(value, str) or not re.match("[0-9a-f]{8}", value):
        raise ValueError(f"{name}: {_shown(value)} is no id of the lake: {FIX_ROW}")


def _check_truth(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {_shown(value)} is neither true nor false: {FIX_ROW}")


def _check_texts(name: str, value: object) -> None:
    for number, text in enumerate(_entries(name, value), start=1):
        _check_text(f"{name}: number {number}", text)


def _check_labels(name: str, value: object) -> None:
    for number, label in enumerate(_entries(name, value), start=1):
        # NaN is not between 0 and 1. Parquet's decimals are no Real for Python.
        is_share = (
            isinstance(label, Real | Decimal)
            and -LABEL_TOLERANCE <= float(label) <= 1 + LABEL_TOLERANCE
        )
        if not is_share and not (label is None and name == "soft"):
            raise ValueError(
                f"{name}: {_shown(label)} of step {number} is no number in [0, 1]: {FIX_LABELS}"
            )


def _entries(name: str, value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name}: {_shown(value)} is no list with an entry a step: {FIX_ROW}")
    return value


def _shown(value: object) -> str:
    """Return a value as a message shows it, cut after 40 characters."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


COLUMN_CHECKS: Mapping[str, Callable[[str, object], None]] = {
    "question": _check_text,
    "solution": _check_text,
    "gold_solution": _check_optional_text,
    "gold_answer": _check_text,
    "text": _check_text,
    "split": _check_text,
    "annotator": _check_text,
    "premise": _check_text,
    "hypothesis": _check_text,
    "problem_id": _check_hash,
    "solution_id": _check_hash,
    "is_correct": _check_truth,
    "entails": _check_truth,
    "steps": _check_texts,
    **dict.fromkeys(LABEL_COLUMNS, _check_labels),
}
"""What a value of each column must be."""
