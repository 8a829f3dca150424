from pathlib import Path

import pytest

from cli.app import main
from resources.storage.home import Home


def test_home_is_the_folder_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path))
    home = Home.from_env()
    assert home == Home(tmp_path)
    assert home.lake == tmp_path / "lake"
    assert home.warehouse == tmp_path / "warehouse.duckdb"
    written = [home.lake, home.models, home.journals, home.warehouse, home.report, home.dagster]
    assert len(set(written)) == 6


@pytest.mark.parametrize("value", [None, ""])
def test_home_is_data_in_the_working_directory_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if value is None:
        monkeypatch.delenv("SHEPHERD_HOME", raising=False)
    else:
        monkeypatch.setenv("SHEPHERD_HOME", value)
    assert Home.from_env().root == tmp_path / "data"
    assert not Home.from_env().root.exists()


@pytest.mark.parametrize("option", ["--home", "--dagster-home"])
@pytest.mark.parametrize(
    ("name", "says"),
    [("file", "is a file: name a folder"), ("file/sub", "is a file"), ("x" * 300, "too long")],
)
def test_a_path_that_is_no_folder_is_named_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, name: str, says: str
) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["run", "--profile", "tiny", option, str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {option} {tmp_path / name}: ")
    assert says in error
    assert error.count("\n") == 1
