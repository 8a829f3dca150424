"""Runs whose process was killed, and two processes that prepare one fresh DAGSTER_HOME."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.lost_runs import fail_lost_runs
from assets.run_processes import PROCESS_TAG, recorded_in_process_executor
from cli.dagster_home import prepare_dagster_home
from cli.runs_database import _explanation, opened_instance
from resources.processes import ProcessIdentity
from resources.storage.home import Home

Status = dg.DagsterRunStatus
ROOT = Path(__file__).parent.parent

RUN = """
import os, sys
from pathlib import Path
import dagster as dg
from assets.run_processes import process_tags
from cli.runs_database import _explanation, opened_instance
from resources.storage.home import Home

@dg.asset(pool="gpu")
def model():
    print("running", flush=True)
    sys.stdin.read()

with opened_instance(Home(Path(sys.argv[1]))) as instance:
    dg.Definitions([model]).resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, tags=process_tags()
    )
"""
"""Makes an asset that holds a model until its input ends."""


@pytest.fixture
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home in which nothing has run."""
    home = Home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    prepare_dagster_home(home.dagster)
    return home


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAGSTER_HOME with databases, which take long to make."""
    folder = tmp_path_factory.mktemp("databases")
    prepare_dagster_home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        with opened_instance(Home(folder)) as instance:
            instance.create_run_for_job(empty_job, status=Status.SUCCESS)
    return folder


@pytest.fixture
def home(fresh_home: Home, databases: Path) -> Home:
    """A home with databases."""
    shutil.copytree(databases, fresh_home.dagster, dirs_exist_ok=True)
    return fresh_home


@pytest.fixture
def runs(fresh_home: Home) -> Iterator[list["subprocess.Popen[str]"]]:
    """Two processes that run at once, and were the first to open the databases."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, fresh_home.root],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "."},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "running\n", process.stderr.read()
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_only_runs_of_ended_processes_are_marked_as_failed(
    fresh_home: Home, runs: list["subprocess.Popen[str]"], capsys: pytest.CaptureFixture[str]
) -> None:
    killed, alive = runs
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    capsys.readouterr()
    with opened_instance(fresh_home) as instance:
        by_process = {
            ProcessIdentity.from_json(run.tags[PROCESS_TAG]).pid: run for run in instance.get_runs()
        }
        assert by_process[killed.pid].status == Status.FAILURE
        assert by_process[alive.pid].status == Status.STARTED
        [line] = capsys.readouterr().out.splitlines()
        killed_id = by_process[killed.pid].run_id
        assert line == (
            f"Run {killed_id[:8]} was killed (its process {killed.pid} has ended): "
            "marked as failed."
        )
        # Once only.
        assert fail_lost_runs(instance) == []
        # The pool is limited although no daemon has run yet.
        [limit] = instance.event_log_storage.get_pool_limits()
        assert (limit.name, limit.limit, limit.from_default) == ("gpu", 1, True)


def test_a_run_of_another_machine_is_named_and_left_alone(home: Home) -> None:
    elsewhere = ProcessIdentity(7, "other-host", "other", "other", "pid:[1]", 1)
    with opened_instance(home) as instance:
        tags = {PROCESS_TAG: elsewhere.to_json()}
        run = instance.create_run_for_job(empty_job, status=Status.STARTED, tags=tags)
        [line] = fail_lost_runs(instance)
        assert "in progress on other-host (process 7)" in line
        assert "cancel it" in line
        current = instance.get_run_by_id(run.run_id)
        assert current is not None
        assert current.status == Status.STARTED


def test_a_retry_that_waits_for_its_process_is_not_lost(home: Home) -> None:
    this = ProcessIdentity.of_this()
    assert this is not None
    ended = ProcessIdentity(this.pid, this.host, this.machine, this.boot, this.namespace, 1)
    tags = {PROCESS_TAG: ended.to_json()}
    with opened_instance(home) as instance:
        killed = instance.create_run_for_job(empty_job, status=Status.STARTED, tags=tags)
        assert len(fail_lost_runs(instance)) == 1
        # Dagster gives a retry the tags of the run that it repeats.
        of_retry = {"parent_run_id": killed.run_id, "root_run_id": killed.run_id}
        retry = instance.create_run_for_job(
            empty_job, status=Status.STARTING, tags=tags, **of_retry
        )
        assert fail_lost_runs(instance) == []
        other = ProcessIdentity(this.pid, this.host, this.machine, this.boot, this.namespace, 2)
        instance.add_run_tags(retry.run_id, {PROCESS_TAG: other.to_json()})
        assert len(fail_lost_runs(instance)) == 1


def test_runs_that_dagster_watches_are_left_to_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = ProcessIdentity(7, "pod", "other", "other", "pid:[1]", 1)
    monkeypatch.setattr("assets.lost_runs.START_TIMEOUT", timedelta(0))
    monitoring = "run_monitoring: {enabled: true}\n"
    (home.dagster / "dagster.yaml").write_text(monitoring)
    with opened_instance(home) as instance:
        # A pod may wait for minutes until there is a node for it.
        instance.create_run_for_job(empty_job, status=Status.STARTING)
        assert fail_lost_runs(instance) == []
        tags = {PROCESS_TAG: elsewhere.to_json()}
        instance.create_run_for_job(empty_job, status=Status.STARTED, tags=tags)
        # Launchers of Kubernetes and Ray check their workers, that of processes does not.
        assert len(fail_lost_runs(instance)) == 1
        launcher = type(instance.run_launcher)
        monkeypatch.setattr(launcher, "supports_check_run_worker_health", True)
        instance.create_run_for_job(empty_job, status=Status.STARTED)
        assert fail_lost_runs(instance) == []


@pytest.mark.parametrize("status", [Status.STARTED, Status.CANCELING])
def test_a_run_of_an_earlier_version_is_named_with_its_age_and_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch, status: dg.DagsterRunStatus
) -> None:
    with opened_instance(home) as instance:
        run = instance.create_run_for_job(empty_job, status=status)
        # Runs of the UI record their process a moment later.
        assert fail_lost_runs(instance) == []
        monkeypatch.setattr("assets.lost_runs.START_TIMEOUT", timedelta(0))
        [line] = fail_lost_runs(instance)
        assert line.startswith(f"Run {run.run_id[:8]} has been in progress for 0 h 0 min")
        assert "cancel the run in the UI" in line
        current = instance.get_run_by_id(run.run_id)
        assert current is not None
        assert current.status == status


def test_what_was_being_canceled_is_canceled(home: Home) -> None:
    this = ProcessIdentity.of_this()
    assert this is not None
    ended = ProcessIdentity(this.pid, this.host, this.machine, this.boot, this.namespace, 1)
    with opened_instance(home) as instance:
        run = instance.create_run_for_job(
            empty_job, status=Status.CANCELING, tags={PROCESS_TAG: ended.to_json()}
        )
        assert len(fail_lost_runs(instance)) == 1
        current = instance.get_run_by_id(run.run_id)
        assert current is not None
        assert current.status == Status.CANCELED


def test_a_run_that_never_began_is_given_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_instance(home) as instance:
        run = instance.create_run_for_job(empty_job, status=Status.STARTING)
        waiting = instance.create_run_for_job(empty_job, status=Status.NOT_STARTED)
        assert fail_lost_runs(instance) == []
        monkeypatch.setattr("assets.lost_runs.START_TIMEOUT", timedelta(0))
        [line] = fail_lost_runs(instance)
        assert line.startswith(f"Run {run.run_id[:8]} was killed (its process never began)")
        current = instance.get_run_by_id(waiting.run_id)
        assert current is not None
        assert current.status == Status.NOT_STARTED


def test_a_run_of_the_ui_records_its_process(home: Home) -> None:
    with (
        opened_instance(home) as instance,
        dg.execute_job(dg.reconstructable(recorded_job), instance=instance) as result,
    ):
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert result.success
        assert ProcessIdentity.from_json(run.tags[PROCESS_TAG]) == ProcessIdentity.of_this()


@dg.job
def empty_job() -> None:
    """Do nothing."""


@dg.op
def one() -> int:
    """Return a number."""
    return 1


@dg.job(executor_def=recorded_in_process_executor)
def recorded_job() -> None:
    """Run as the UI runs jobs."""
    one()


DAMAGES = {
    "history/runs.db": "the list of runs begins anew",
    "history/runs/index.db": "all assets count as never made",
    "schedules/schedules.db": "sensors and schedules",
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("damage", ["header", "pages"])
def test_a_damaged_database_is_named_with_the_way_out(home: Home, name: str, damage: str) -> None:
    path = home.dagster / name
    content = path.read_bytes()
    kept = 0 if damage == "header" else 100
    path.write_bytes(content[:kept] + b"\x07" * (len(content) - kept))
    pattern = f"{path}: .* is damaged .*: move it aside.* lake .* not affected; {DAMAGES[name]}"
    with pytest.raises(ValueError, match=pattern), opened_instance(home) as instance:
        instance.get_runs()
    path.unlink()
    with opened_instance(home) as instance:
        instance.get_runs()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{: x", "not YAML"),
        ("- a list", "fields and their values"),
        ("storage: nope", "storage"),
        ("run_launcher: {module: no.such.module, class: Launcher}", "no.such.module"),
        ("sqlite_folder: 3", "sqlite_folder"),
        ("\0", "not YAML"),
    ],
)
def test_a_wrong_dagster_yaml_is_named(home: Home, text: str, says: str) -> None:
    path = home.dagster / "dagster.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{path}: ") as error, opened_instance(home):
        pass
    message = str(error.value)
    assert says in message
    assert "correct it, or move it aside" in message
    assert len(message) < 500


def test_a_full_disk_is_named_where_sqlite_reports_a_failing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "make the folder writable" in _explanation(tmp_path, "disk I/O error")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))
    assert "free space on the disk" in _explanation(tmp_path, "disk I/O error")
