from pathlib import Path

import pytest

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
