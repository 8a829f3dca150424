"""A home is copied from a folder to a store and back, and is the same."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from object_store import serve_objects
from small_lake import small_lake
from test_store_home import address  # noqa: F401 - a fixture

from cli.app import main
from cli.home_copy import copy_home
from cli.status_tables import leases
from resources.report.server import MARKS_FILE
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.leases import holding
from resources.storage.model_store import ModelStore
from resources.storage.store import open_store
from shepherd.schemas import PROBLEMS, TABLES

AT = ("words", "00")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_objects(tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in a folder with tables, a model, an export and a report."""
    home = Home(tmp_path / "home")
    lake = Lake(home.lake)
    for name, rows in small_lake().items():
        if name in TABLES:
            lake.write(TABLES[name], rows, *AT)

    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(os.urandom(100))

    ModelStore(home.models).save("generator", write)
    (home.exports / "labels").mkdir(parents=True)
    (home.exports / "labels" / "train.jsonl").write_text("{}\n")
    home.report.write_text("<html></html>")
    (home.root / MARKS_FILE).write_text("{}\n")
    home.documents.put("study/paper.json", b"{}")
    return home


def contents(home: Home) -> dict[str, object]:
    """Return the tables, the model and the other files of a home."""
    lake = Lake(home.lake, home.files)
    tables = {
        name: lake.read(table, *AT) for name, table in TABLES.items() if lake.partitions(table)
    }
    model = ModelStore(home.models, home.files).path("generator")
    home.files.fetch([home.exports, home.report])
    return {
        **{name: rows.rows() for name, rows in tables.items()},
        "model": {path.name: path.read_bytes() for path in model.iterdir() if path.name[0] != "."},
        "export": (home.exports / "labels" / "train.jsonl").read_text(),
        "report": home.report.read_text(),
    }


def test_a_home_goes_to_a_folder_and_a_second_copy_writes_no_table(
    home: Home, tmp_path: Path
) -> None:
    target = Home(tmp_path / "target")
    copied = {path.relative_to(home.root).parts[0] for path in copy_home(home, target)}
    assert copied == {"lake", "models", "exports", "report.html", MARKS_FILE, "study"}
    assert contents(target) == contents(home)
    again = {path.suffix for path in copy_home(home, target)}
    assert ".parquet" not in again


def test_another_table_in_the_target_is_not_overwritten(home: Home, tmp_path: Path) -> None:
    target = Home(tmp_path / "target")
    other = small_lake()["problems"].with_columns(question=pl.lit("other"))
    Lake(target.lake).write(PROBLEMS, other, *AT)
    with pytest.raises(ValueError, match=r"problems/words/00\.parquet: the target has another"):
        list(copy_home(home, target))
    with pytest.raises(ValueError, match="both homes are the same"):
        list(copy_home(home, home))
    with pytest.raises(ValueError, match="there is no lake"):
        list(copy_home(Home(tmp_path / "none"), target))


def test_a_home_goes_to_a_bucket_and_back(
    home: Home,
    address: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["copy", str(home.root), address]) == 0
    assert f"copied to {address}" in capsys.readouterr().out
    # Another machine has no copies yet.
    shutil.rmtree(tmp_path / "cache")
    assert contents(Home.at(address)) == contents(home)
    back = Home(tmp_path / "back")
    assert main(["copy", address, str(back.root)]) == 0
    assert contents(back) == contents(home)
    store = open_store(address)
    # Any tool reads and writes them.
    marks = store.get(MARKS_FILE)
    assert marks is not None
    assert marks.data == (back.root / MARKS_FILE).read_bytes() == b"{}\n"
    assert (back.root / "study" / "paper.json").read_text() == "{}"
    assert leases(Home.at(address)).height == 0
    with holding(store, "rollouts/words/00", "draws rollouts"):
        [row] = leases(Home.at(address)).to_dicts()
    assert (row["lease"], row["process"]) == ("rollouts/words/00", os.getpid())
