"""The DuckDB warehouse: the lake and every model of ``dbt_like_sql`` in one file.

The lake's tables are copied into the schema ``lake``: the file names no path outside it, so it
can be moved. Staging models are views on those copies, all other models are tables.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from resources.storage.atomic import WAYS_OUT, WriteError, publish, replacing_path
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.lake import Lake
from resources.storage.sql_files import (
    SQL_ROOT,
    SqlModel,
    column_meanings,
    declared_constraints,
    sql_models,
    sql_tests,
)
from shepherd.schemas import TABLES, Table

MAX_FAILING_ROWS = 20
"""Failing rows that a test's result holds."""

_CONFIG: dict[str, Any] = {
    # By default DuckDB takes 80 % of the memory, and a model may be training on the same machine.
    "memory_limit": "4GB",
    # By default a name that is no relation is looked up among Python's variables.
    "python_enable_replacements": False,
    # Older clients, such as DBeaver's driver, must be able to open the file.
    "storage_compatibility_version": "v1.2.0",
}
_FILES = "read_parquet(?, union_by_name = true, hive_partitioning = false, filename = true)"
_TYPES: dict[pl.DataType, str] = {
    pl.String(): "varchar",
    pl.Int64(): "bigint",
    pl.Float64(): "double",
    pl.Boolean(): "boolean",
    pl.List(pl.String()): "varchar[]",
    pl.List(pl.Int64()): "bigint[]",
    pl.List(pl.Float64()): "double[]",
}


@dataclass(frozen=True)
class TestResult:
    """The result of one SQL test."""

    __test__ = False

    name: str
    """``<model>__<rule>``."""
    model: str
    """Name of the model that was tested."""
    sql: str
    """The SELECT of the failing rows."""
    num_failures: int
    """Number of rows that break the rule; 0 if the test passes."""
    rows: pl.DataFrame
    """The first of the failing rows, at most 20."""


def build_warehouse(
    lake_root: Path, warehouse: Path, sql_root: Path = SQL_ROOT, files: HomeFiles = LOCAL
) -> dict[str, int]:
    """Build the warehouse from the lake and return the number of rows of each relation.

    A table that the lake does not have yet is empty. The digests of the lake's files are checked
    first. The new file is opened again and compared before it replaces the old one: a session that
    has the old file open reads on and holds no lock.

    Raises:
        ValueError: a Parquet file is damaged or does not have the columns of its table
            (materialize the named asset again), an SQL file is wrong (correct the named file), or
            the disk is full or read-only.
    """
    ordered = sql_models(sql_root)
    with files.committing(warehouse), replacing_path(warehouse) as new:
        try:
            keys = {name: one.key for name, one in declared_constraints(sql_root).items()}
            rows = _write(new, Lake(lake_root, files), ordered, column_meanings(sql_root), keys)
            _check_written(new, rows)
        except duckdb.Error as error:
            way_out = _way_out_of_disk_error(error) or "build it again"
            raise WriteError(
                f"{warehouse}: cannot be written: {_reason(error)}: {way_out}; the old file stays"
            ) from error
        # DuckDB would apply the write-ahead log of the old file to the new one.
        warehouse.with_name(f"{warehouse.name}.wal").unlink(missing_ok=True)
        publish(new, warehouse)
    return rows


class WarehouseInUseError(ValueError):
    """Another process writes to the warehouse."""


def open_warehouse(warehouse: Path) -> duckdb.DuckDBPyConnection:
    """Open a warehouse for reading.

    Raises:
        WarehouseInUseError: another process has it open for writing; the message names the process.
        ValueError: there is none, or its file is damaged: build it again.
    """
    if not warehouse.is_file():
        raise ValueError(f"{warehouse}: no such file: build it with shepherd warehouse build")
    try:
        return duckdb.connect(warehouse, read_only=True, config=_CONFIG)
    except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException) as error:
        if "Conflicting lock" in str(error):
            holder = str(error).partition("Conflicting lock is ")[2].partition(". ")[0]
            raise WarehouseInUseError(
                f"{warehouse}: is open for writing in another process (its lock is {holder}): "
                "close it there, and try again"
            ) from error
        raise ValueError(
            f"{warehouse}: cannot be opened: {_reason(error)}: build it again with shepherd "
            "warehouse build"
        ) from error


def run_tests(warehouse: Path, sql_root: Path = SQL_ROOT) -> list[TestResult]:
    """Run every SQL test; a test passes if it returns no rows. The warehouse is opened read-only.

    Raises:
        ValueError: there is no warehouse (build it), or a test does not fit it (build it again).
    """
    results = []
    tests = sql_tests(sql_models(sql_root), sql_root)
    with open_warehouse(warehouse) as connection:
        for test in tests:
            try:
                failing = connection.sql(test.sql)
                num_failures, rows = _count(failing), failing.limit(MAX_FAILING_ROWS).pl()
            except duckdb.Error as error:
                raise ValueError(f"{test.path}: {test.name}: {error}") from error
            results.append(TestResult(test.name, test.tested_model, test.sql, num_failures, rows))
    return results


def _write(
    path: Path,
    lake: Lake,
    ordered: list[SqlModel],
    meanings: dict[str, str],
    keys: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """Write the lake's tables and all models into a new file; return the rows of each relation."""
    with duckdb.connect(path, config=_CONFIG) as connection:
        # A commit waits for the disk, and there is one for each statement otherwise.
        connection.begin()
        connection.execute("create schema lake")
        for table in TABLES.values():
            _load(connection, table, lake)
        # From here on DuckDB opens no other file, so that no model can depend on a path.
        connection.execute("set enable_external_access = false")
        for model in ordered:
            _create(connection, model, meanings, keys.get(model.name, ()))
        names = [*(f"lake.{name}" for name in TABLES), *(model.name for model in ordered)]
        rows = {name: _count(connection.sql(f"from {name}")) for name in names}
        connection.commit()
        # The end of a session writes the file as well, but reports no error, such as a full disk.
        connection.execute("checkpoint")
    return rows


def _check_written(path: Path, rows: dict[str, int]) -> None:
    """Check that a file holds the relations and rows that were written into it.

    Raises:
        duckdb.Error: it does not.
    """
    with duckdb.connect(path, read_only=True, config=_CONFIG) as connection:
        for name, num_rows in rows.items():
            if _count(connection.sql(f"from {name}")) != num_rows:
                raise duckdb.IOException(f"{name} has lost rows")


SHARDED = "problems"
"""The table whose shards the warehouse shows: a row does not hold its shard, but its path does."""


def _load(connection: duckdb.DuckDBPyConnection, table: Table, lake: Lake) -> None:
    columns = [f'"{name}" {_TYPES[dtype]}' for name, dtype in table.schema.items()]
    meanings = {column.name: column.meaning for column in table.columns}
    if table.name == SHARDED:
        columns.append("shard varchar")
        meanings["shard"] = "shard of the dataset, in which the problem and all of its rows are"
    connection.execute(f"create table lake.{table.name} ({', '.join(columns)})")
    grain = _with_key(table.grain, table.key)
    _comment(connection, "table", f"lake.{table.name}", grain, meanings)
    paths = lake.files(table)
    if not paths:
        return
    for path in paths:
        lake.check_file(table, path)
    # In brackets, a wildcard of a path stands for itself.
    literal_paths = [re.sub(r"([*?\[])", r"[\1]", str(path.absolute())) for path in paths]
    try:
        absent = {column.name for column in table.columns if column.added_later}
        if absent:
            described = connection.execute(f"describe from {_FILES}", [literal_paths]).fetchall()
            absent -= {name for name, *_ in described}
        names = [f"null as {name}" if name in absent else f'"{name}"' for name in table.schema]
        if table.name == SHARDED:
            names.append("parse_filename(filename, true)")
        connection.execute(
            f"insert into lake.{table.name} select {', '.join(names)} from {_FILES}",
            [literal_paths],
        )
    except duckdb.Error as error:
        if _way_out_of_disk_error(error):
            raise
        raise ValueError(
            f"{lake.root / table.name}: {_reason(error)}: materialize the asset {table.name} again"
        ) from error


def _create(
    connection: duckdb.DuckDBPyConnection,
    model: SqlModel,
    meanings: dict[str, str],
    key: Sequence[str],
) -> None:
    kind = "view" if model.layer == "staging" else "table"
    try:
        connection.execute(f"create {kind} {model.name} as {model.sql}")
    except duckdb.Error as error:
        if _way_out_of_disk_error(error):
            raise
        raise ValueError(f"{model.path}: {error}") from error
    columns = connection.sql(f"from {model.name}").columns
    known = {name: meanings[name] for name in columns if name in meanings}
    _comment(connection, kind, model.name, _with_key(model.description, key), known)


def _with_key(meaning: str, key: Sequence[str]) -> str:
    """Return the meaning of a relation with the columns that identify a row, if they are known."""
    return f"{meaning}\nKey: {', '.join(key)}." if key else meaning


def _comment(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    relation: str,
    meaning: str,
    column_meanings: dict[str, str],
) -> None:
    """Write the meaning of a relation and of its columns into the warehouse."""
    comments = [f"comment on {kind} {relation} is {_quoted(meaning)}"]
    for column, text in column_meanings.items():
        comments.append(f'comment on column {relation}."{column}" is {_quoted(text)}')
    connection.execute("; ".join(comments))


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    return int(relation.aggregate("count(*)").fetchall()[0][0])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _way_out_of_disk_error(error: duckdb.Error) -> str | None:
    """Return what a user can do if DuckDB could not write; None for all other errors.

    DuckDB has no type for such errors. Their messages hold that of the operating system.
    """
    ways_out = (way for number, way in WAYS_OUT.items() if os.strerror(number) in str(error))
    return next(ways_out, None)


def _reason(error: duckdb.Error) -> str:
    """Return the first line of a message, without the path of a temporary file."""
    return str(error).splitlines()[0].rpartition('": ')[2]
