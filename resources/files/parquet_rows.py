"""Read the rows of Parquet files, whatever types their columns have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from resources.files.lines import MARKED, Line, refuse_repeated_columns

if TYPE_CHECKING:
    import pyarrow

_NOT_UTF8 = object()
"""In the place of a text that is not UTF-8."""


def parquet_rows(path: Path, field: str) -> Iterator[Line]:
    """Yield the rows of a Parquet file. A value that Python cannot hold is null.

    Raises:
        ValueError: the file is broken, or two columns have one name.
    """
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            refuse_repeated_columns(path, names)
            for batch in file.iter_batches(batch_size=1_000):
                for values in zip(*map(_values, batch.columns), strict=True):
                    number += 1
                    fault = "is not UTF-8" if any(v is _NOT_UTF8 for v in values) else ""
                    raw = json.dumps(dict(zip(names, values, strict=True)), default=_as_text)
                    yield Line(str(path), number, raw.encode(), fault)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path}: broken Parquet ({reason}): fetch the file again, or correct {field}"
        ) from error


def _values(column: "pyarrow.Array") -> list[object]:
    try:
        values: list[object] = column.to_pylist()
    except (ArithmeticError, LookupError, ValueError):
        values = [_value(scalar) for scalar in column]
    return values


def _value(scalar: "pyarrow.Scalar") -> object:
    """Return a value of Python; None for one without, such as a date in the year 11476."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return _NOT_UTF8
    except (ArithmeticError, LookupError, ValueError):
        return None


def _as_text(value: object) -> str:
    # Some writers of Parquet do not say of text that it is text.
    return value.decode(errors=MARKED) if isinstance(value, bytes) else str(value)
