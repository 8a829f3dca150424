"""``shepherd verify`` finds each kind of damage in a home, and nothing in a sound one."""

import errno
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen

import polars as pl
import pytest

from cli.app import main
from resources.storage import digests, settling
from resources.storage.digests import write_parquet
from resources.storage.home import Home
from resources.storage.journal import open_journal
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from resources.storage.verification import items_of
from resources.storage.warehouse import build_warehouse
from resources.storage.weights import weights_identity
from shepherd.requests import COMPLETIONS
from shepherd.schemas import PROBLEMS, SOLUTIONS, STEPS
from tests.test_digests import flipped, lake_with_rows
from tests.test_lake import problems
from tests.versions import save


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("verify") / "home")
    lake_with_rows(home.lake)
    for table in (SOLUTIONS, STEPS):
        for shard in ("00", "01"):
            Lake(home.lake).write(table, table.empty(), "words", shard)
    model = home.models / "generator"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights" * 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "NANOSECONDS_TO_SETTLE", -1_000_000_000)
        weights_identity(model)
    with open_journal(home.journals / "rollouts" / "words" / "00" / "a.journal", {}) as journal:
        journal.record(COMPLETIONS.to_frame())
        journal.record(COMPLETIONS.to_frame())
    sql = home.root / "sql"
    (sql / "marts").mkdir(parents=True)
    (sql / "marts" / "a.sql").write_text("-- A.\nfrom lake.problems")
    build_warehouse(home.lake, home.warehouse, sql)
    return home


@pytest.fixture
def home(sound: Home, tmp_path: Path) -> Home:
    copy = Home(tmp_path / "home")
    shutil.copytree(sound.root, copy.root)
    return copy


def flip(path: Path) -> None:
    """Flip a bit in the middle of a file, as a disk does: its time stamp stays."""
    data, before = path.read_bytes(), path.stat()
    path.write_bytes(flipped(data, 4 * len(data)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def drop_rows(path: Path) -> None:
    pl.read_parquet(path).head(-3).write_parquet(path)


def repeat_keys(path: Path) -> None:
    lake = Lake(path.parents[2])
    lake.write(PROBLEMS, lake.read(PROBLEMS, "words", "00"), "words", "01")


def lose_column(path: Path) -> None:
    with path.open("wb") as file:
        write_parquet(problems("a").drop("level"), file)


def remove(path: Path) -> None:
    path.unlink()


def lose_version(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(".versions/generator/4c0d")


def copy(path: Path) -> None:
    shutil.copy(path, path.with_name("00 (copy).parquet"))


SHARD = "lake/problems/words/00.parquet"


@pytest.mark.parametrize(
    ("damage", "damaged", "named", "problem"),
    [
        (flip, SHARD, SHARD, "is damaged: .*: materialize the asset problems again"),
        (drop_rows, SHARD, SHARD, "has no digest: .*: materialize the asset problems again"),
        (lose_column, SHARD, SHARD, "table problems: missing columns .*: materialize"),
        (repeat_keys, SHARD, "lake/problems", r"20 rows repeat the key \(problem_id\): "),
        (copy, SHARD, "lake/problems/words/00 (copy).parquet", "is no shard .*: move it aside$"),
        (remove, *["lake/solutions/words/01.parquet"] * 2, "is missing, although .* solutions "),
        (remove, *["models/generator/config.json"] * 2, "is missing: train the model again"),
        (remove, *["models/generator/model.safetensors"] * 2, "is missing: train the model again"),
        (lose_version, *["models/generator"] * 2, r"leads to \.versions/generator/4c0d, which is"),
        (flip, *["models/generator/model.safetensors"] * 2, "is damaged: .*: train the model"),
        (flip, *["warehouse.duckdb"] * 2, "is damaged|cannot be opened"),
    ],
)
def test_each_kind_of_damage_is_one_line(
    home: Home,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    damaged: str,
    named: str,
    problem: str,
) -> None:
    damage(home.root / damaged)
    assert main(["verify", "--home", str(home.root)]) == 1
    finding, summary = capsys.readouterr().out.splitlines()
    start = f"error: {home.root / named}: "
    assert finding.startswith(start)
    assert re.match(problem, finding.removeprefix(start)), finding
    assert summary.endswith("MiB verified: 1 errors, 0 notes")


def test_a_model_whose_hash_is_not_that_of_its_folder_is_found(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ModelStore(home.models)
    changed = save(store, "one") / "model.safetensors"
    assert main(["verify", "--home", str(home.root)]) == 0
    capsys.readouterr()
    changed.write_text("two")
    assert main(["verify", "--home", str(home.root)]) == 1
    finding, _ = capsys.readouterr().out.splitlines()
    assert finding.startswith(f"error: {changed.parent}: files of this model have changed since")


def test_a_sound_home_has_no_findings(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--home", str(home.root)]) == 0
    assert capsys.readouterr().out.endswith("MiB verified: 0 errors, 0 notes\n")


def test_what_needs_no_repair_is_a_note(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    path = home.root / SHARD
    pl.read_parquet(path).write_parquet(path)
    (home.lake / "shards.json").write_text('{"words": 2}')
    (home.lake / "rejected").mkdir()
    [journal] = home.journals.rglob("*.journal")
    journal.write_bytes(journal.read_bytes()[:-3])
    assert main(["verify", "--home", str(home.root)]) == 0
    *notes, summary = capsys.readouterr().out.splitlines()
    assert [note.removeprefix(f"note: {home.root}/").split(":")[0] for note in notes] == [
        "lake/problems",
        "lake/rejected",
        "journals/rollouts/words/00/a.journal",
    ]
    assert "1 file has no digest" in notes[0]
    assert summary.endswith("0 errors, 3 notes")


def test_what_cannot_be_verified_at_all(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--home", str(home.root / "nothing")]) == 2
    assert "no such folder: correct --home" in capsys.readouterr().err
    (home.lake / "shards.json").write_text("{")
    assert main(["verify", "--home", str(home.root)]) == 2
    assert "shards.json: is damaged" in capsys.readouterr().err


def test_what_the_next_run_makes_and_what_was_not_compared_is_a_note(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.lake / "steps/words/01.parquet").unlink()
    (home.models / "generator/model.safetensors").touch()
    writer = "import duckdb, sys; one = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    command = [sys.executable, "-c", writer, str(home.warehouse)]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert main(["verify", "--home", str(home.root)]) == 0
        process.communicate(b"\n")
    steps, weights, warehouse, _ = capsys.readouterr().out.splitlines()
    assert "lake/steps/words: 1 of 2 shards are not there, first 01: the next run makes" in steps
    assert "generator: 1 files, first model.safetensors, were not compared" in weights
    assert f"(PID {process.pid})): close it there, and try again; it was not checked" in warehouse


def test_files_that_vanish_or_cannot_be_read_end_no_verification(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = items_of(home)
    for folder in (home.journals, home.models):
        shutil.rmtree(folder)
    (home.root / SHARD).unlink()
    check = digests._check

    def failing(path: Path, stamp: tuple[int, int, int]) -> bool:
        if path.name == "01.parquet" and path.match("problems/*/*"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return check(path, stamp)

    monkeypatch.setattr(digests, "_check", failing)
    monkeypatch.setattr(digests, "_check_once", failing)
    errors = [each for item in items for each in item.findings() if not each.is_note]
    failed, missing = sorted(errors, key=lambda each: each.problem)
    assert failed.path.match("problems/words/01.parquet")
    assert failed.problem.startswith("cannot be read: Input/output error: ")
    assert missing.path == home.root / SHARD


def test_a_lost_file_that_only_a_run_recorded_is_an_error(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    import dagster as dg

    from cli.runs_database import open_instance

    home.dagster.mkdir()
    with open_instance(home.dagster) as instance:
        for name, partition in [
            ("steps", "words|01"),
            ("monte_carlo_labels", "words|00"),
            ("rollouts", "removed|00"),
            ("evaluations", None),
            ("int_true_labels", None),
        ]:
            event = dg.AssetMaterialization(name, partition=partition)
            instance.report_runless_asset_event(event)
    assert main(["verify", "--home", str(home.root)]) == 1
    problem = "is missing, although a run has written it: materialize the asset"
    files = {"evaluations": "all", "monte_carlo_labels": "words/00"}
    assert capsys.readouterr().out.splitlines()[:-1] == [
        f"error: {home.lake}/{name}/{file}.parquet: {problem} {name} again"
        for name, file in files.items()
    ]
    (home.dagster / "history" / "runs" / "index.db").write_text("no database at all")
    assert main(["verify", "--home", str(home.root)]) == 1
    assert "index.db: cannot be read (file is not a database)" in capsys.readouterr().out
