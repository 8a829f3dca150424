"""Dagster's instance on a real PostgreSQL, as deploy/ describes it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.cluster import DEPLOY, ROOT, Postgres, postgres, postgres_folder
from cli.runs_database import opened_instance
from cli.submission import TAG
from resources.storage.home import Home
from shepherd.settings import RunSettings

pytestmark = pytest.mark.slow

OPEN = """
import sys
from pathlib import Path
from cli.runs_database import opened_instance
from resources.storage.home import Home
with opened_instance(Home(Path(sys.argv[1]))) as instance:
    print(type(instance.run_storage).__name__, len(instance.get_runs()))
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that runs while this file's tests do."""
    try:
        postgres_folder()
    except ValueError as error:
        pytest.skip(str(error))
    with postgres(tmp_path_factory.mktemp("database")) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Postgres) -> Home:
    """A home whose DAGSTER_HOME has the dagster.yaml of deploy/."""
    home = Home(tmp_path)
    home.dagster.mkdir()
    shutil.copy(DEPLOY / "processes" / "dagster.yaml", home.dagster)
    for name, value in {**database.variables, "DAGSTER_HOME": str(home.dagster)}.items():
        monkeypatch.setenv(name, value)
    return home


def test_processes_that_open_a_fresh_database_at_once_all_succeed(home: Home) -> None:
    def open_it(_: int) -> str:
        command = [sys.executable, "-c", OPEN, str(home.root)]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor(3) as threads:
        assert set(threads.map(open_it, range(3))) == {"PostgresRunStorage 0\n"}


def test_a_profile_is_submitted_once_and_its_pools_are_limited(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    from cli.app import main

    # Dagster takes neither a percent sign nor more than 100 characters in a backfill's title.
    profile = home.root / f"50 % {'long ' * 20}" / "profile.yaml"
    profile.parent.mkdir()
    profile.write_text(
        "datasets: {words: {source: word_problems, num_train: 2, num_test: 0}}\n"
        "generators: {generator: &served {base: owner/model, solves: [train]}}\n"
        "completer: *served\n"
        "engine: {kind: openai, openai: {base_urls: [http://127.0.0.1:9/v1]}}\n"
        "runs: {sampling_pool: clients, pool_limits: {clients: 16}, whole_shards: true}\n"
    )
    options = ["--profile", str(profile), "--home", str(home.root)]
    assert main(["run", "--submit", *options]) == 0
    assert main(["run", "--submit", *options]) == 2
    assert main(["status", *options]) == 0
    out, err = capfd.readouterr()
    assert "shards" in out
    assert f"of profile {profile} is in progress" in err
    assert "no daemon of Dagster has reported" in err
    with opened_instance(home, RunSettings()) as instance:
        [backfill] = instance.get_backfills()
        assert backfill.tags == {TAG: str(profile)}
        pools = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
        assert pools == {"clients": 16, "gpu": 1}
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_poll_interval_seconds <= 10
        assert instance.run_retries_max_retries == 3


def test_a_database_out_of_reach_is_one_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PORT", "9")
    with (
        pytest.raises(
            ValueError, match=r"(?s)dagster\.yaml: PostgreSQL cannot be used \(.*refused"
        ),
        opened_instance(home),
    ):
        pass
    monkeypatch.delenv("DAGSTER_PG_PORT")
    with (
        pytest.raises(ValueError, match=r"not set: set DAGSTER_PG_PORT$"),
        opened_instance(home),
    ):
        pass


def test_a_package_that_is_not_installed_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)
    with (
        pytest.raises(ValueError, match=r"dagster_postgres.*install the extra that has it"),
        opened_instance(home),
    ):
        pass


def test_events_are_read_by_every_process(home: Home) -> None:
    @dg.asset
    def made() -> None: ...

    with opened_instance(home) as instance:
        assert dg.materialize([made], instance=instance).success
    with opened_instance(home) as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("made")) is not None


def test_a_run_goes_on_while_postgresql_restarts(home: Home, database: Postgres) -> None:
    @dg.asset
    def before() -> None: ...

    @dg.asset(deps=[before])
    def meanwhile() -> None:
        database.stop()
        database.start()

    @dg.asset(deps=[meanwhile])
    def after() -> None: ...

    with opened_instance(home) as instance:
        run = dg.materialize([before, meanwhile, after], instance=instance)
        assert run.success
        events = [entry.dagster_event_type for entry in instance.all_logs(run.run_id)]
        assert events.count(dg.DagsterEventType.STEP_SUCCESS) == 3
        assert events[-1] == dg.DagsterEventType.RUN_SUCCESS
