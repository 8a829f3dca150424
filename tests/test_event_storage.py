"""Events that the faster storage writes are those that Dagster's own storage reads."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from cli.event_storage import OpenEventStorage
from cli.runs_database import CONFIG, _explanation, opened_instance
from resources.storage.home import Home

NUM_CHECKS = 5
CHECKS = [f"check_{number}" for number in range(NUM_CHECKS)]


@dg.asset(check_specs=[dg.AssetCheckSpec(name, asset="checked") for name in CHECKS])
def checked() -> Iterator[dg.Output[int] | dg.AssetCheckResult]:
    yield dg.Output(1, metadata={"rows": 3})
    for name in CHECKS:
        yield dg.AssetCheckResult(check_name=name, passed=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    home.dagster.mkdir()
    (home.dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return home


def materialize(instance: dg.DagsterInstance) -> str:
    return dg.materialize_to_memory([checked], instance=instance).run_id


def test_dagster_reads_the_events(home: Home) -> None:
    with opened_instance(home) as instance:
        runs = [materialize(instance), materialize(instance)]
        # A connection to the first run is opened again.
        written = {run: len(instance.all_logs(run)) for run in runs}
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        assert not isinstance(instance.event_log_storage, OpenEventStorage)
        assert {run: len(instance.all_logs(run)) for run in runs} == written
        event = instance.get_latest_materialization_event(dg.AssetKey("checked"))
        assert event is not None
        assert event.run_id == runs[-1]
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["rows"].value == 3
        checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("checked"), name) for name in CHECKS]
        )
        assert len(checks) == NUM_CHECKS
        # What Dagster writes afterwards is read here again.
        materialize(instance)
    with opened_instance(home) as instance:
        assert len(instance.get_runs()) == 3
        event = instance.get_latest_materialization_event(dg.AssetKey("checked"))
        assert event is not None
        assert event.run_id not in runs


def test_events_share_connections(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []
    connect = sqlite3.dbapi2.connect

    def counted(path: str, *arguments: object, **options: object) -> sqlite3.Connection:
        paths.append(Path(path).stem)
        return connect(path, *arguments, **options)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    with opened_instance(home) as instance:
        materialize(instance)
        paths.clear()
        run = materialize(instance)
        assert (paths.count("index"), 0 < paths.count(run) <= 3) == (0, True), paths
        assert instance.event_log_storage.has_secondary_index("asset_key_table")


def test_a_storage_that_the_user_chose_is_kept(home: Home) -> None:
    chosen = {"storage": {"sqlite": {"base_dir": str(home.root / "elsewhere")}}}
    (home.dagster / "dagster.yaml").write_text(yaml.safe_dump(chosen))
    with opened_instance(home) as instance:
        assert not isinstance(instance.event_log_storage, OpenEventStorage)
        materialize(instance)
    written = yaml.safe_load((home.dagster / CONFIG).read_text())
    assert written["storage"] == chosen["storage"]
    assert (home.root / "elsewhere" / "history").is_dir()
    assert not (home.dagster / "history").exists()


def test_databases_are_searched_for_damage_unless_they_are_locked(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_bytes(b"damage" * 1000)
    assert "runs.db: this database of Dagster is damaged" in _explanation(
        tmp_path, "disk I/O error"
    )
    assert "another process writes to them" in _explanation(tmp_path, "database is locked")
