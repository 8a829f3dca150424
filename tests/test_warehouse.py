"""Building the warehouse: lineage, order, replacement by renaming, and mistakes of users."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from cli.app import main
from resources.storage import warehouse as warehouse_module
from resources.storage.lake import Lake
from resources.storage.sql_files import lineage, parsed, sql_models, sql_tests
from resources.storage.warehouse import MAX_FAILING_ROWS, build_warehouse, run_tests
from shepherd.schemas import STEPS, TABLES
from tests.small_lake import small_lake, write_lake

FRAMES = small_lake(num_train=4, num_test=2)


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("from a", ["a"]),
        ("-- comment\nselect 1 as x;\n", []),
        ("select * from lake.a join b using (i), c", ["b", "c", "lake.a"]),
        ("with a as (from b) from a", ["b"]),
        ("with a as (from a) from a", ["a"]),
        ("with A as (from b) from a", ["b"]),
        ("with a as (from b) from lake.a", ["b", "lake.a"]),
        ("with a as (from b), c as (from a) select * from c where x in (from d)", ["b", "d"]),
        ("select * from (with a as (from b) from a), a", ["a", "b"]),
        (
            "with recursive a as (select 1 as x union all select x + 1 from a, b) from a",
            ["b"],
        ),
        ("from a union all by name from b", ["a", "b"]),
        ("select (select max(x) from a), exists (from b) from range(3)", ["a", "b"]),
        ("select x from a qualify row_number() over (order by x) = 1", ["a"]),
        ("from a anti join (from b where c) as d using (i)", ["a", "b"]),
        ("select * from a, unnest([1, 2]) as u", ["a"]),
        ("pivot a on x using sum(y)", None),
        ("select", None),
        ("from a; from b", None),
        ("create table a as from b", None),
        ("drop table a", None),
    ],
)
def test_lineage_names_the_relations_that_a_select_reads(sql: str, reads: list[str] | None) -> None:
    [tree] = parsed([sql])
    if reads is None:
        with pytest.raises(ValueError, match="SELECT"):
            lineage(tree)
    else:
        assert lineage(tree) == reads


def test_each_model_comes_after_those_it_reads() -> None:
    seen = {f"lake.{table}" for table in TABLES}
    for model in sql_models():
        assert set(model.upstream) <= seen
        assert "Grain: one row per" in model.description
        seen.add(model.name)


def write_sql(root: Path, files: dict[str, str]) -> Path:
    for name, sql in files.items():
        path = root / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql)
    return root


@pytest.fixture
def steps_only(tmp_path: Path) -> Path:
    """The folder of SQL files with one model: a view of the steps."""
    return write_sql(tmp_path / "sql", {"staging/stg_steps": "-- Steps.\nfrom lake.steps"})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"staging/stg_a": "from lake.problems"}, r"stg_a\.sql: begin the file with a comment"),
        ({"staging/stg_a": "-- A.\nfrom lake.nothing"}, "reads lake.nothing, which is neither"),
        ({"staging/stg_a": "-- A.\nselec 1"}, r"stg_a\.sql: not a SELECT: syntax error"),
        ({"marts/a": "-- A.\nfrom b", "marts/b": "-- B.\nfrom a"}, "models read each other: "),
        (
            {"marts/a": "-- A.\nfrom lake.steps", "intermediate/a": "-- A.\nfrom lake.steps"},
            "has this name",
        ),
        (
            {"marts/a": "-- A.\nselect no_such_column from lake.steps"},
            r"a\.sql: Binder Error.*no_such_column",
        ),
        (
            {"marts/a": "-- A.\nselect content from lake.steps, read_text('/etc/hostname')"},
            r"a\.sql: Permission Error",
        ),
    ],
)
def test_a_wrong_sql_file_is_named_and_the_old_warehouse_stays(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    warehouse.write_text("old")
    with pytest.raises(ValueError, match=message):
        build_warehouse(tmp_path / "lake", warehouse, write_sql(tmp_path / "sql", files))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [warehouse.name]
    assert warehouse.read_text() == "old"


def test_a_test_of_no_model_is_refused(tmp_path: Path) -> None:
    write_sql(tmp_path, {"marts/a": "-- A.\nfrom lake.steps", "tests/b__is_empty": "-- B.\nfrom a"})
    with pytest.raises(ValueError, match="no model is named b"):
        sql_tests(sql_models(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("b: {key: [step_id]}", r"columns\.yaml: relations: no model is named b"),
        ("a: {required: [step_id]}", r"columns\.yaml: relations: a: name its columns in `key`"),
    ],
)
def test_a_wrong_declaration_is_named(tmp_path: Path, declared: str, message: str) -> None:
    write_sql(tmp_path, {"marts/a": "-- A.\nfrom lake.steps"})
    (tmp_path / "columns.yaml").write_text(f"columns: {{}}\nrelations:\n  {declared}\n")
    with pytest.raises(ValueError, match=message):
        sql_tests(sql_models(tmp_path), tmp_path)


def test_a_declared_column_that_a_model_lacks_is_named(tmp_path: Path) -> None:
    sql_root = write_sql(tmp_path / "sql", {"marts/a": "-- A.\nfrom lake.steps"})
    declared = "columns: {}\nrelations:\n  a: {key: [no_such_column]}\n"
    (sql_root / "columns.yaml").write_text(declared)
    build_warehouse(tmp_path / "lake", tmp_path / "warehouse.duckdb", sql_root)
    with pytest.raises(ValueError, match=r"columns\.yaml: a__key_is_unique: .*no_such_column"):
        run_tests(tmp_path / "warehouse.duckdb", sql_root)


def test_an_empty_lake_gives_empty_relations_and_all_tests_hold(tmp_path: Path) -> None:
    warehouse = tmp_path / "home" / "warehouse.duckdb"
    rows = build_warehouse(tmp_path / "lake", warehouse)
    assert set(rows) == {f"lake.{table}" for table in TABLES} | {m.name for m in sql_models()}
    assert set(rows.values()) == {0}
    assert {result.num_failures for result in run_tests(warehouse)} == {0}


def test_the_lake_is_copied_whole_with_its_types_and_meanings(tmp_path: Path) -> None:
    lake = write_lake(FRAMES, tmp_path / "la[k]e*" / "dataset=x")
    rows = build_warehouse(lake, tmp_path / "warehouse.duckdb")
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        for name, table in TABLES.items():
            copied = connection.sql(f"from lake.{name}").pl()
            if name == "problems":
                shards = copied.select("dataset", "shard").unique().sort("shard").rows()
                assert shards == Lake(lake).partitions(table)
                copied = copied.drop("shard")
            assert copied.schema == table.schema
            assert rows[f"lake.{name}"] == copied.height == FRAMES[name].height
            assert copied.sort(table.key).equals(FRAMES[name].sort(table.key))
        meanings = connection.execute(
            "select comment from duckdb_columns where schema_name = 'lake' and comment is null"
        ).fetchall()
        views = connection.execute(
            "select comment from duckdb_views where not internal and comment is null"
        ).fetchall()
    assert meanings == views == []


def test_the_warehouse_works_where_the_lake_is_gone(tmp_path: Path) -> None:
    lake = write_lake(FRAMES, tmp_path / "here" / "lake")
    rows = build_warehouse(lake, tmp_path / "here" / "warehouse.duckdb")
    (tmp_path / "there").mkdir()
    moved = shutil.move(tmp_path / "here" / "warehouse.duckdb", tmp_path / "there")
    shutil.rmtree(tmp_path / "here")
    with duckdb.connect(moved, read_only=True) as connection:
        for name, count in rows.items():
            assert connection.execute(f"select count(*) from {name}").fetchall() == [(count,)]


def test_the_file_opens_in_older_versions_of_duckdb(tmp_path: Path) -> None:
    build_warehouse(tmp_path / "lake", tmp_path / "warehouse.duckdb")
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        tags = connection.execute(
            "select tags from duckdb_databases() where database_name = 'warehouse'"
        ).fetchall()
    assert tags == [({"storage_version": "v1.2.0+"},)]


def test_hidden_files_of_a_write_in_progress_are_not_read(tmp_path: Path, steps_only: Path) -> None:
    lake = write_lake(FRAMES, tmp_path / "lake")
    (lake / "steps" / "word_problems" / ".00.parquet.0123.tmp").write_text("half a file")
    rows = build_warehouse(lake, tmp_path / "warehouse.duckdb", steps_only)
    assert rows["stg_steps"] == FRAMES["steps"].height


def test_a_file_that_is_not_of_its_table_names_the_asset(tmp_path: Path) -> None:
    frames = {**FRAMES, "rollout_costs": FRAMES["rollout_costs"].drop("seconds")}
    lake = write_lake(frames, tmp_path / "lake")
    with pytest.raises(ValueError, match=r"rollout_costs.*seconds.*asset rollout_costs again"):
        build_warehouse(lake, tmp_path / "warehouse.duckdb")


def test_an_analyst_with_the_file_open_meets_no_lock(tmp_path: Path, steps_only: Path) -> None:
    """A build works while another process has the file open, and that process reads on."""
    lake, warehouse = write_lake(FRAMES, tmp_path / "lake"), tmp_path / "warehouse.duckdb"
    build_warehouse(lake, warehouse, steps_only)
    session = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('create table mine as select 1 as x')\n"
        "print('ready', flush=True)\n"
        "input()\n"
        "print(connection.execute('select count(*) from stg_steps, mine').fetchall()[0][0])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", session, str(warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as analyst:
        assert analyst.stdout is not None
        assert analyst.stdout.readline() == "ready\n"
        shutil.rmtree(lake / "steps")
        build_warehouse(lake, warehouse, steps_only)
        with duckdb.connect(warehouse, read_only=True) as connection:
            assert connection.execute("select count(*) from stg_steps").fetchall() == [(0,)]
        answer, _ = analyst.communicate("\n")
    assert answer == f"{FRAMES['steps'].height}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "sql", "warehouse.duckdb"]
    with duckdb.connect(warehouse, read_only=True) as connection:
        assert connection.execute("select count(*) from stg_steps").fetchall() == [(0,)]


def test_a_disk_that_is_full_leaves_the_good_file(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: DuckDB fails in the same places."""
    lake, warehouse = write_lake(FRAMES, tmp_path / "lake"), tmp_path / "warehouse.duckdb"
    sql_root = write_sql(tmp_path / "sql", {"marts/a": "-- A.\nfrom lake.steps"})
    build_warehouse(lake, warehouse, sql_root)
    good = warehouse.read_bytes()
    for limit in (0, 100_000, len(good) - 1):
        with (
            file_size_limit(limit),
            pytest.raises(ValueError, match=r"^\S+warehouse\.duckdb: cannot be written: .*large"),
        ):
            build_warehouse(lake, warehouse, sql_root)
        assert warehouse.read_bytes() == good
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["lake", "sql", "warehouse.duckdb"]


@contextmanager
def file_size_limit(num_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_lost_rows_while_it_was_written_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, where the end of a session writes nothing and reports no error."""
    warehouse = tmp_path / "warehouse.duckdb"
    sql_root = write_sql(tmp_path / "sql", {"marts/a": "-- A.\nfrom lake.steps"})
    lake = write_lake({"steps": FRAMES["steps"]}, tmp_path / "lake")
    build_warehouse(lake, warehouse, sql_root)
    good, write = warehouse.read_bytes(), warehouse_module._write
    for statement in ("delete from a", "drop table a"):

        def damage(path: Path, *others: Any, statement: str = statement) -> dict[str, int]:
            rows = write(path, *others)
            with duckdb.connect(path) as connection:
                connection.execute(statement)
            return rows

        monkeypatch.setattr(warehouse_module, "_write", damage)
        with pytest.raises(ValueError, match="cannot be written"):
            build_warehouse(lake, warehouse, sql_root)
        assert warehouse.read_bytes() == good


def test_damaged_and_stray_files_never_reach_the_warehouse(tmp_path: Path) -> None:
    lake, warehouse = tmp_path / "lake", tmp_path / "warehouse.duckdb"
    sql_root = write_sql(tmp_path / "sql", {"marts/a": "-- A.\nfrom lake.steps"})
    path = Lake(lake).write(STEPS, FRAMES["steps"], "word_problems", "00")
    shutil.copy(path, path.with_name("00 (copy).parquet"))
    assert build_warehouse(lake, warehouse, sql_root)["a"] == FRAMES["steps"].height
    good, data = warehouse.read_bytes(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"parquet: is damaged: .*the asset steps again"):
        build_warehouse(lake, warehouse, sql_root)
    assert warehouse.read_bytes() == good


def test_a_damaged_warehouse_says_how_to_build_it_again(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(ValueError, match=r"cannot be opened: .*build it again with shepherd"):
        run_tests(path)


def test_failing_rows_are_counted_and_the_first_are_kept(tmp_path: Path) -> None:
    twice = pl.concat([FRAMES["rollouts"], FRAMES["rollouts"]])
    lake = write_lake({**FRAMES, "rollouts": twice}, tmp_path / "lake")
    build_warehouse(lake, tmp_path / "warehouse.duckdb")
    results = {result.name: result for result in run_tests(tmp_path / "warehouse.duckdb")}
    result = results["stg_rollouts__key_is_unique"]
    assert (result.model, result.num_failures) == ("stg_rollouts", FRAMES["rollouts"].height)
    assert result.rows.height == min(MAX_FAILING_ROWS, result.num_failures)
    assert result.rows["num_rows"].unique().to_list() == [2]


def test_tests_without_a_warehouse_say_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build it with"):
        run_tests(tmp_path / "warehouse.duckdb")


def test_the_command_line_builds_tests_and_fails_on_failing_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path))
    write_lake(FRAMES, tmp_path / "lake")
    num_tests = len(sql_tests(sql_models()))
    assert main(["warehouse", "build"]) == 0
    assert "label_quality" in capsys.readouterr().out
    assert main(["warehouse", "test"]) == 0
    assert capsys.readouterr().out == f"{num_tests} of {num_tests} tests hold\n"
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("update lake.problems set split = 'dev'")
    assert main(["warehouse", "test"]) == 1
    assert "stg_problems__split_is_known: 6 failing rows, the first are" in capsys.readouterr().out
    assert main(["warehouse", "frobnicate"]) == 2
    assert capsys.readouterr().err == "error: No such command 'frobnicate'.\n"
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path / "empty"))
    assert main(["warehouse", "test"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'empty'}")


def test_files_of_earlier_versions_have_null_in_columns_that_were_added(tmp_path: Path) -> None:
    frames = {**FRAMES, "rollout_costs": FRAMES["rollout_costs"].drop("thought_tokens")}
    lake = write_lake(frames, tmp_path / "lake")
    warehouse = tmp_path / "warehouse.duckdb"
    build_warehouse(lake, warehouse)
    with duckdb.connect(warehouse, read_only=True) as connection:
        query = "select sum(thought_tokens), sum(answer_tokens), sum(completion_tokens)"
        [row] = connection.execute(
            f"{query} from sampling_costs where stage = 'rollouts'"
        ).fetchall()
    assert row[0] == 0
    assert row[1] == row[2] > 0
    assert {result.num_failures for result in run_tests(warehouse)} == {0}
