"""The DuckDB warehouse: the lake and every file of ``dbt_like_sql`` in one file that can move.

The lake's tables are copied into the schema ``lake``, so nothing in the file names a path
outside it. Staging models are views on them, all other models tables.
"""

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import yaml

from shepherd.schemas import TABLES, Table

SQL_ROOT = Path(__file__).resolve().parents[2] / "dbt_like_sql"
LAYERS = {"staging": "view", "intermediate": "table", "marts": "table"}
"""What the models of each folder become."""
MAX_FAILING_ROWS = 20

_CONFIG: dict[str, Any] = {
    # DuckDB would take 80 % of the machine, on which a model may be training.
    "memory_limit": "4GB",
    # Else a missing relation is taken to be a Python variable of that name.
    "python_enable_replacements": False,
    # What an analyst has may be older: the shell, DBeaver's driver.
    "storage_compatibility_version": "v1.2.0",
}
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
class SqlModel:
    """One SELECT of ``dbt_like_sql``: the file's name is the relation's.

    ``description`` is the comment that the file begins with. ``upstream`` names the relations
    that it reads, those of the lake as ``lake.<table>``.
    """

    name: str
    layer: str
    path: Path
    sql: str
    description: str
    upstream: list[str]


@dataclass(frozen=True)
class TestResult:
    """What a test found: ``rows`` are the first 20 of its failing rows."""

    __test__ = False

    name: str
    model: str
    num_failures: int
    rows: pl.DataFrame


def build_warehouse(lake_root: Path, warehouse: Path, sql_root: Path = SQL_ROOT) -> dict[str, int]:
    """Write the warehouse anew from the lake and return the rows of each relation.

    A table that the lake does not have yet is empty. The file is built aside and then takes its
    place, so that whoever has the old one open keeps reading it and never meets a lock.

    Raises:
        ValueError: a file of the lake is not of its table, or an SQL file is wrong.
    """
    ordered = sql_models(sql_root)
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    aside = warehouse.with_name(f".{warehouse.name}.{uuid.uuid4().hex}.tmp")
    try:
        with duckdb.connect(aside, config=_CONFIG) as connection:
            connection.execute("create schema lake")
            for table in TABLES.values():
                _load(connection, table, lake_root)
            # From here on the lake is out of reach: no model can come to depend on a path.
            connection.execute("set enable_external_access = false")
            meanings = column_meanings(sql_root)
            for model in ordered:
                _create(connection, model, meanings)
            names = [*(f"lake.{name}" for name in TABLES), *(model.name for model in ordered)]
            rows = {name: _count(connection.sql(f"from {name}")) for name in names}
        # The log of a session that writes to the old file does not fit the new one.
        _log_of(warehouse).unlink(missing_ok=True)
        aside.replace(warehouse)
    finally:
        aside.unlink(missing_ok=True)
        _log_of(aside).unlink(missing_ok=True)
    return rows


def sql_models(sql_root: Path = SQL_ROOT) -> list[SqlModel]:
    """Return all models, each after those that it reads.

    Raises:
        ValueError: a file is not one SELECT, has no header comment, shares its name with
            another, reads what does not exist, or reads itself by way of others.
    """
    found: dict[str, SqlModel] = {}
    for model in _read_layers(sql_root, list(LAYERS)):
        if model.name in found:
            other = found[model.name].path
            raise ValueError(f"{model.path}: {other} has this name: rename one of them")
        found[model.name] = model
    for model in found.values():
        _check_upstream(model, found)
    graph = {name: [read for read in found[name].upstream if read in found] for name in found}
    try:
        return [found[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise ValueError(f"{sql_root}: models read each other: {cycle}") from error


def sql_tests(models: Sequence[SqlModel], sql_root: Path = SQL_ROOT) -> list[SqlModel]:
    """Return the tests ``<model>__<rule>`` of models, each a SELECT of the rows that break a rule.

    Raises:
        ValueError: as :func:`sql_models`, or a test is of no model.
    """
    known = {model.name: model for model in models}
    tests = _read_layers(sql_root, ["tests"])
    for test in tests:
        _check_upstream(test, known)
        if _tested(test) not in known:
            raise ValueError(
                f"{test.path}: no model is named {_tested(test)}: name the file <model>__<rule>.sql"
            )
    return tests


def lineage(serialized: str) -> list[str]:
    """Return the relations that a SELECT reads, sorted, as they are written.

    ``serialized`` is what DuckDB's ``json_serialize_sql`` makes of its text. Names of common table
    expressions are not relations where they are in scope.

    Raises:
        ValueError: the text is not exactly one SELECT statement.
    """
    tree = json.loads(serialized)
    if tree["error"]:
        raise ValueError(f"not a SELECT: {tree['error_message']}")
    if len(tree["statements"]) != 1:
        raise ValueError(f"{len(tree['statements'])} statements, not one SELECT")
    return sorted(set(_relations(tree["statements"][0]["node"], frozenset())))


def parsed(texts: Sequence[str]) -> list[str]:
    """Return the syntax trees of SQL texts, as the JSON that DuckDB's own parser gives."""
    query = "select json_serialize_sql(sql) from (select unnest(?::varchar[]) as sql)"
    with duckdb.connect() as parser:
        return [tree for (tree,) in parser.execute(query, [list(texts)]).fetchall()]


def column_meanings(sql_root: Path = SQL_ROOT) -> dict[str, str]:
    """Return what columns mean, by name: those of the lake, and of ``columns.yaml``."""
    of_lake = {column.name: column.meaning for table in TABLES.values() for column in table.columns}
    path = sql_root / "columns.yaml"
    return of_lake | (yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {})


def run_tests(warehouse: Path, sql_root: Path = SQL_ROOT) -> list[TestResult]:
    """Run every SQL test; one that returns no rows holds. The warehouse is opened read-only.

    Raises:
        ValueError: there is no warehouse, or a test cannot run on it.
    """
    if not warehouse.is_file():
        raise ValueError(f"{warehouse}: no such file: build it with shepherd warehouse build")
    results = []
    tests = sql_tests(sql_models(sql_root), sql_root)
    with duckdb.connect(warehouse, read_only=True, config=_CONFIG) as connection:
        for test in tests:
            try:
                failing = connection.sql(test.sql)
                num_failures, rows = _count(failing), failing.limit(MAX_FAILING_ROWS).pl()
            except duckdb.Error as error:
                raise ValueError(f"{test.path}: {error}") from error
            results.append(TestResult(test.name, _tested(test), num_failures, rows))
    return results


def _load(connection: duckdb.DuckDBPyConnection, table: Table, lake_root: Path) -> None:
    columns = ", ".join(f'"{name}" {_TYPES[dtype]}' for name, dtype in table.schema.items())
    connection.execute(f"create table lake.{table.name} ({columns})")
    connection.execute(f"comment on table lake.{table.name} is {_quoted(table.grain)}")
    for column in table.columns:
        comment = _quoted(column.meaning)
        connection.execute(f'comment on column lake.{table.name}."{column.name}" is {comment}')
    folder = lake_root.absolute() / table.name
    paths = sorted([*folder.glob("*.parquet"), *folder.glob("*/*.parquet")])
    if not paths:
        return
    names = ", ".join(f'"{name}"' for name in table.schema)
    # A bracket around a wildcard makes it a letter.
    literal = [re.sub(r"([*?\[])", r"[\1]", str(path)) for path in paths]
    try:
        connection.execute(
            f"insert into lake.{table.name} select {names} "
            "from read_parquet(?, union_by_name = true, hive_partitioning = false)",
            [literal],
        )
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{folder}: {reason}: materialize the asset {table.name} again") from error


def _create(
    connection: duckdb.DuckDBPyConnection, model: SqlModel, meanings: dict[str, str]
) -> None:
    kind = LAYERS[model.layer]
    try:
        connection.execute(f"create {kind} {model.name} as {model.sql}")
    except duckdb.Error as error:
        raise ValueError(f"{model.path}: {error}") from error
    connection.execute(f"comment on {kind} {model.name} is {_quoted(model.description)}")
    for column in connection.sql(f"from {model.name}").columns:
        if column in meanings:
            meaning = _quoted(meanings[column])
            connection.execute(f'comment on column {model.name}."{column}" is {meaning}')


def _read_layers(sql_root: Path, layers: Sequence[str]) -> list[SqlModel]:
    paths = [path for layer in layers for path in sorted((sql_root / layer).glob("*.sql"))]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [
        _read(path, sql, tree) for path, sql, tree in zip(paths, texts, parsed(texts), strict=True)
    ]


def _read(path: Path, sql: str, serialized: str) -> SqlModel:
    comment = re.match(r"(?:--.*\n)+", sql)
    if not comment:
        raise ValueError(f"{path}: begin the file with a comment that says what a row is")
    description = "\n".join(line.removeprefix("-- ") for line in comment[0].splitlines())
    try:
        upstream = lineage(serialized)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return SqlModel(path.stem, path.parent.name, path, sql, description, upstream)


def _check_upstream(reader: SqlModel, found: dict[str, SqlModel]) -> None:
    known = {*found, *(f"lake.{table}" for table in TABLES)}
    if unknown := sorted(set(reader.upstream) - known):
        raise ValueError(
            f"{reader.path}: reads {', '.join(unknown)}, which is neither a model nor a table of "
            "the lake: correct the name"
        )


def _relations(node: Any, hidden: frozenset[str]) -> Iterator[str]:
    """Yield the tables in a serialized query; ``hidden`` are the CTE names in scope."""
    if isinstance(node, list):
        for child in node:
            yield from _relations(child, hidden)
    if not isinstance(node, dict):
        return
    if node.get("type") == "RECURSIVE_CTE_NODE":
        hidden |= {node["cte_name"].lower()}
    for entry in node.get("cte_map", {}).get("map", []):
        yield from _relations(entry["value"], hidden)
        hidden |= {entry["key"].lower()}
    if node.get("type") == "BASE_TABLE":
        schema, name = node["schema_name"], node["table_name"]
        if schema or name.lower() not in hidden:
            yield f"{schema}.{name}" if schema else name
    for key, child in node.items():
        if key != "cte_map":
            yield from _relations(child, hidden)


def _tested(test: SqlModel) -> str:
    return test.name.partition("__")[0]


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    return int(relation.aggregate("count(*)").fetchall()[0][0])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")
