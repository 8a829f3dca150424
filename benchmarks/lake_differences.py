"""The differences between a table of two lakes, row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shepherd.schemas import TABLES

EFFORTS = ("seconds", "cached_tokens")
"""Columns that hold how an engine worked. Another run of the same draws takes other times, and one
that resumes after a kill begins with an empty cache."""

PARTITION, OCCURRENCE = "_partition", "_occurrence"
NUM_EXAMPLES = 3
MAX_CHARACTERS = 120


@dataclass(frozen=True)
class LakeTable:
    """All rows of a table, each with its partition ``<dataset>/<shard>``, or null if unknown."""

    name: str
    rows: pl.DataFrame

    @classmethod
    def of_parts(cls, name: str, parts: Sequence["LakeTable"]) -> "LakeTable":
        """Return the rows of several tables as one table, by the columns that all have."""
        columns = [
            column
            for column in parts[0].rows.columns
            if all(column in part.rows.columns for part in parts)
        ]
        joined = pl.concat(part.rows.select(columns) for part in parts)
        return cls(name, joined).without_partitions()

    @classmethod
    def missing(cls, other: "LakeTable") -> "LakeTable":
        """Return a table without rows, for the lake that lacks the table ``other``."""
        return cls(f"{other.name} (one side only)", other.rows.clear())

    def without_partitions(self) -> "LakeTable":
        """Return the same rows with their partitions unknown."""
        return LakeTable(self.name, self.rows.with_columns(pl.lit(None).alias(PARTITION)))


def tables_of(lake: Path) -> dict[str, LakeTable]:
    """Read all tables of a lake, without the columns ``EFFORTS``."""
    tables = {}
    for folder in sorted(path for path in lake.iterdir() if path.is_dir()):
        parts = [
            pl.read_parquet(path, glob=False, hive_partitioning=False).with_columns(
                pl.lit(path.relative_to(folder).with_suffix("").as_posix()).alias(PARTITION)
            )
            for path in sorted(folder.rglob("*.parquet"))
        ]
        if parts:
            rows = pl.concat(parts, how="diagonal_relaxed").drop(EFFORTS, strict=False)
            tables[folder.name] = LakeTable(folder.name, rows)
    return tables


@dataclass(frozen=True)
class TableDifference:
    """What differs between a table of lake A and of lake B.

    ``num_rows`` counts the rows of the larger side. ``only_a`` and ``only_b`` hold the keys of
    rows that one side lacks. ``changed`` holds, for each column, the key of the rows with another
    value and both values. ``columns`` names the columns that one side lacks or types otherwise.
    """

    name: str
    num_rows: int
    columns: tuple[str, ...]
    only_a: pl.DataFrame
    only_b: pl.DataFrame
    changed: dict[str, pl.DataFrame]
    num_changed: int

    @property
    def count(self) -> int:
        """Number of rows that differ; 1 if only columns differ."""
        count = self.only_a.height + self.only_b.height + self.num_changed
        return count or int(bool(self.columns) and self.num_rows > 0)

    def lines(self) -> Iterator[str]:
        """Yield what differs in words, with a few examples."""
        if "(one side only)" in self.name:
            yield f"{self.name}: {self.num_rows:,} rows"
        for column in self.columns:
            yield f"{self.name}: the column {column} is not the same on both sides"
        for side, rows in (("A", self.only_a), ("B", self.only_b)):
            if rows.height:
                yield f"{self.name}: {rows.height:,} rows are only in {side}"
                yield from (f"  {_short(row)}" for row in rows.head(NUM_EXAMPLES).to_dicts())
        for column, rows in self.changed.items():
            yield f"{self.name}: {column} differs in {rows.height:,} rows"
            yield from (f"  {_short(row)}" for row in rows.head(NUM_EXAMPLES).to_dicts())


def compare(a: LakeTable, b: LakeTable) -> TableDifference:
    """Compare two tables by key; rows that share a key are compared in their order.

    Tables that ``shepherd.schemas`` does not know are compared by whole rows.
    """
    schema_a, schema_b = a.rows.schema, b.rows.schema
    shared = [name for name in schema_a if schema_a[name] == schema_b.get(name)]
    unshared = {*schema_a, *schema_b} - {*shared}
    name = max(a.name, b.name, key=len)
    table = TABLES.get(name)
    key = [PARTITION, *(table.key if table and {*table.key} <= {*shared} else ())]
    # PARTITION alone is no key: then all columns that can be joined on identify a row.
    key = key if len(key) > 1 else [column for column in shared if not schema_a[column].is_nested()]
    sides = [
        side.rows.select(shared).with_columns(
            pl.int_range(pl.len()).over(key).alias(OCCURRENCE),
        )
        for side in (a, b)
    ]
    by = [*key, OCCURRENCE]
    only_a, only_b = (
        one.join(other, on=by, how="anti", nulls_equal=True).select(by)
        for one, other in (sides, reversed(sides))
    )
    both = sides[0].join(sides[1], on=by, nulls_equal=True, suffix=":b")
    others = [column for column in shared if column not in key]
    unequal = {c: ~pl.col(c).eq_missing(pl.col(f"{c}:b")) for c in others}
    changed = {
        column: rows
        for column, differs in unequal.items()
        if (rows := both.filter(differs).select(*key, column, f"{column}:b")).height
    }
    num_changed = both.filter(pl.any_horizontal(unequal.values())).height if others else 0
    num_rows = max(a.rows.height, b.rows.height)
    return TableDifference(
        name, num_rows, tuple(sorted(unshared)), only_a, only_b, changed, num_changed
    )


def _short(row: dict[str, object]) -> str:
    fields = (f"{name}={value!r}" for name, value in row.items() if name != OCCURRENCE)
    return ", ".join(f"{text[:MAX_CHARACTERS]}" for text in fields)
