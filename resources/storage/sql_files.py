"""The SELECTs of ``dbt_like_sql``: models and tests, with the relations that each reads.

A file holds one SELECT, and its name is the relation's name. ``columns.yaml`` declares the key
and the required columns of each relation, from which two tests a relation are generated.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import yaml

from shepherd.schemas import TABLES

SQL_ROOT = Path(__file__).resolve().parents[2] / "dbt_like_sql"
MODEL_LAYERS = ("staging", "intermediate", "marts")
"""The folders of models."""


@dataclass(frozen=True)
class SqlModel:
    """One SELECT: a model, a test or a query of the report."""

    name: str
    """Name of the relation, or ``<model>__<rule>`` of a test."""
    layer: str
    """Folder of the file: staging, intermediate, marts, tests or report."""
    path: Path
    """The file, or ``columns.yaml`` for a generated test."""
    sql: str
    """The whole text, with its comment."""
    description: str
    """The comment that the text begins with."""
    upstream: tuple[str, ...]
    """Relations that the SELECT reads, those of the lake as ``lake.<table>``."""

    @property
    def tested_model(self) -> str:
        """Name of the model that a test is about."""
        return self.name.partition("__")[0]


@dataclass(frozen=True)
class Constraints:
    """What ``columns.yaml`` declares of a relation."""

    key: tuple[str, ...]
    """Columns that identify a row; none of them is ever null."""
    required: tuple[str, ...] = ()
    """Further columns that are never null."""


def sql_models(sql_root: Path = SQL_ROOT) -> list[SqlModel]:
    """Return all models, each after the models that it reads.

    Raises:
        ValueError: a file is not one SELECT, has no comment at its start, has the name of another
            file, reads a relation that does not exist, or reads itself through other models.
    """
    return in_order(read_layers(sql_root, MODEL_LAYERS), known=())


def sql_tests(models: Sequence[SqlModel], sql_root: Path = SQL_ROOT) -> list[SqlModel]:
    """Return the tests of models by name, each a SELECT of the rows that break a rule.

    Raises:
        ValueError: as :func:`sql_models`; or a test or a declared key is of no model.
    """
    names = {model.name for model in models}
    tests = read_layers(sql_root, ["tests"])
    for test in tests:
        _check_upstream(test, names)
        if test.tested_model not in names:
            raise ValueError(
                f"{test.path}: no model is named {test.tested_model}: "
                "name the file <model>__<rule>.sql"
            )
    path = sql_root / "columns.yaml"
    for name, constraints in declared_constraints(sql_root).items():
        if name not in names:
            raise ValueError(f"{path}: relations: no model is named {name}: correct the name")
        tests += _declared_tests(name, constraints, path)
    return sorted(tests, key=lambda test: test.name)


def in_order(read: Sequence[SqlModel], known: Sequence[str]) -> list[SqlModel]:
    """Return SELECTs, each after those that it reads; ``known`` are relations that exist already.

    Raises:
        ValueError: two files have one name, or a file reads a relation that does not exist or
            reads itself through others.
    """
    models: dict[str, SqlModel] = {}
    for model in read:
        if model.name in models:
            other = models[model.name].path
            raise ValueError(f"{model.path}: {other} has this name: rename one of them")
        models[model.name] = model
    for model in models.values():
        _check_upstream(model, {*models, *known})
    graph = {
        name: [upstream for upstream in model.upstream if upstream in models]
        for name, model in models.items()
    }
    try:
        return [models[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise ValueError(
            f"{read[0].path.parent.parent}: models read each other: {cycle}"
        ) from error


def read_layers(sql_root: Path, layers: Sequence[str]) -> list[SqlModel]:
    """Read the files of some folders, sorted by name within each folder.

    Raises:
        ValueError: a file is not one SELECT or has no comment at its start.
    """
    paths = [path for layer in layers for path in sorted((sql_root / layer).glob("*.sql"))]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return list(_read_all(tuple(zip(paths, texts, strict=True))))


def column_meanings(sql_root: Path = SQL_ROOT) -> dict[str, str]:
    """Return the meaning of columns by name, from the lake's schemas and ``columns.yaml``."""
    of_lake = {column.name: column.meaning for table in TABLES.values() for column in table.columns}
    meanings: dict[str, str] = _columns_yaml(sql_root, "columns")
    return of_lake | meanings


def declared_constraints(sql_root: Path = SQL_ROOT) -> dict[str, Constraints]:
    """Return key and required columns by relation, as ``columns.yaml`` declares them.

    Raises:
        ValueError: a relation has no key.
    """
    constraints = {}
    for name, declared in _columns_yaml(sql_root, "relations").items():
        if not declared.get("key"):
            path = sql_root / "columns.yaml"
            raise ValueError(f"{path}: relations: {name}: name its columns in `key`")
        constraints[name] = Constraints(tuple(declared["key"]), tuple(declared.get("required", ())))
    return constraints


def lineage(serialized: str) -> list[str]:
    """Return the relations that a SELECT reads, sorted, as they are written.

    ``serialized`` is the output of DuckDB's ``json_serialize_sql``. Names of common table
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


def _declared_tests(name: str, constraints: Constraints, path: Path) -> list[SqlModel]:
    """Return the tests that a key is unique and that no key or required column is null."""
    columns = [*constraints.key, *constraints.required]
    listed = "".join(f"    {column},\n" for column in constraints.key)
    nulls = "\n    or ".join(f"{column} is null" for column in columns)
    rules = {
        "key_is_unique": (
            f"Fails for keys of more than one row. Key: {', '.join(constraints.key)}.",
            f"select\n{listed}    count(*) as num_rows\nfrom {name}\n"
            f"group by {', '.join(constraints.key)}\nhaving count(*) > 1;\n",
        ),
        "required_columns_are_filled": (
            f"Fails for rows with a null in a required column: {', '.join(columns)}.",
            f"select *\nfrom {name}\nwhere\n    {nulls};\n",
        ),
    }
    return [
        SqlModel(f"{name}__{rule}", "tests", path, f"-- {says}\n{select}", says, (name,))
        for rule, (says, select) in rules.items()
    ]


def _columns_yaml(sql_root: Path, section: str) -> dict[str, Any]:
    path = sql_root / "columns.yaml"
    sections = _parsed_yaml(path.read_text("utf-8")) if path.is_file() else {}
    return dict(sections.get(section, {}))


@lru_cache(maxsize=2)
def _parsed_yaml(text: str) -> dict[str, dict[str, Any]]:
    """Parse a text once; one build of the warehouse asks several times."""
    sections: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return sections


@lru_cache(maxsize=8)
def _read_all(files: tuple[tuple[Path, str], ...]) -> tuple[SqlModel, ...]:
    """Read files of these paths and texts; one build of the warehouse asks several times."""
    trees = parsed([sql for _, sql in files])
    return tuple(_read(path, sql, tree) for (path, sql), tree in zip(files, trees, strict=True))


def _read(path: Path, sql: str, serialized: str) -> SqlModel:
    comment = re.match(r"(?:--.*\n)+", sql)
    if not comment:
        raise ValueError(f"{path}: begin the file with a comment that says what a row is")
    description = "\n".join(line.removeprefix("-- ") for line in comment[0].splitlines())
    try:
        upstream = lineage(serialized)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return SqlModel(path.stem, path.parent.name, path, sql, description, tuple(upstream))


def _check_upstream(reader: SqlModel, known: set[str]) -> None:
    in_lake = {f"lake.{table}" for table in TABLES}
    if unknown := sorted(set(reader.upstream) - known - in_lake):
        raise ValueError(
            f"{reader.path}: reads {', '.join(unknown)}, which is neither a model nor a table of "
            "the lake: correct the name"
        )


def _relations(node: object, hidden: frozenset[str]) -> Iterator[str]:
    """Yield the relations in a serialized query; ``hidden`` are the CTE names in scope."""
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
