"""Define what a table of the lake is, and check frames against one."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Column:
    """One column: its name, polars dtype, meaning, and whether it may be null.

    ``added_later``: files of earlier versions lack it, so that it is null in their rows.
    """

    name: str
    dtype: pl.DataType
    meaning: str
    nullable: bool = False
    added_later: bool = False


@dataclass(frozen=True)
class Table:
    """A dataset: its grain in words, its columns in order and the columns that identify a row."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column names and dtypes in order."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table without rows."""
        return pl.DataFrame(schema=self.schema)


def with_later_columns(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of an earlier version, with null in the columns that were added later."""
    absent = [one for one in table.columns if one.added_later and one.name not in frame.columns]
    return frame.with_columns(pl.lit(None, one.dtype).alias(one.name) for one in absent)


def enforce(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with exactly the table's columns, in order.

    Raises:
        ValueError: a column is missing, unknown, of another type, null where it must not be,
            or the key is not unique; the message names table, column and count.
    """
    missing = [name for name in table.schema if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in table.schema]
    if missing or unknown:
        raise ValueError(f"table {table.name}: missing columns {missing}, unknown {unknown}")
    for column in table.columns:
        found = frame.schema[column.name]
        if found != column.dtype and not (found == pl.Null and frame.height == 0):
            raise ValueError(f"table {table.name}: {column.name} is {found}, not {column.dtype}")
        nulls = 0 if column.nullable else frame[column.name].null_count()
        if nulls:
            raise ValueError(f"table {table.name}: {column.name} is null in {nulls} rows")
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in table.schema.items())
    key = frame.select(table.key)
    # Hashes of numbers take no time beside rows of strings, and those of equal rows are equal.
    if key.hash_rows().n_unique() < key.height and key.n_unique() < key.height:
        duplicates = key.height - key.n_unique()
        raise ValueError(f"table {table.name}: {duplicates} rows repeat the key {table.key}")
    return frame
