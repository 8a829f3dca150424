"""New problem files are labelled, and only the shards that they change."""

import dataclasses
import json
import os
from pathlib import Path

import dagster as dg
import pytest

from assets.automation import label_new_problems, lost_runs, run_tags
from assets.definitions import assets_of, definitions_of, jobs_of, sensors_of
from assets.deployment import Deployment
from assets.run_processes import PROCESS_TAG
from resources.files.problems import load_problems
from resources.processes import ProcessIdentity
from resources.storage.home import Home
from resources.storage.lake import Lake
from shepherd.identity import shard_keys, shard_of
from shepherd.schemas import PROBLEMS
from shepherd.settings import Settings
from tests.profiles import TINY

ASSETS = assets_of(TINY)
DEFINITIONS = definitions_of(TINY, Home(Path("unused")))


def add_problems(folder: Path, name: str, count: int, split: str = "train") -> None:
    """Drop a file of problems into a folder."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        row = {"question": f"What is {number} of {name}?", "answer": f"It is #### {number}"}
        (folder / f"{name}-{number}.json").write_text(json.dumps(row))


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    columns = {"question": "question", "answer": "answer"}
    add_problems(tmp_path / "train", "first", 8)
    add_problems(tmp_path / "test", "test", 3)
    files = {"train": str(tmp_path / "train"), "test": str(tmp_path / "test")}
    datasets = {"dropped": {"source": "columns", "columns": columns, **files}}
    settings = Settings.model_validate({**TINY.model_dump(), "datasets": datasets, "shards": 3})
    return Deployment(settings, Home(tmp_path / "home"))


def write_problems(deployment: Deployment) -> None:
    """Write the lake's problems as the asset does."""
    lake, settings = Lake(deployment.home.lake), deployment.settings
    loaded, _ = load_problems("dropped", settings.datasets["dropped"], 0)
    shards = [shard_of(problem_id, settings.shards) for problem_id in loaded["problem_id"]]
    for shard in shard_keys(settings.shards):
        lake.write(PROBLEMS, loaded.filter([found == shard for found in shards]), "dropped", shard)


def tick(deployment: Deployment, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(cursor=cursor, resources={"deployment": deployment})
    result = label_new_problems(jobs_of(ASSETS, TINY)["annotate"])(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def test_all_shards_are_asked_for_where_the_lake_is_empty(deployment: Deployment) -> None:
    found = tick(deployment, None)
    assert isinstance(found, dg.SensorResult)
    assert [request.partition_key for request in found.run_requests or []] == [
        f"dropped|{shard}" for shard in ("00", "01", "02")
    ]


def test_files_that_did_not_change_are_not_read_again(deployment: Deployment) -> None:
    first = tick(deployment, None)
    assert isinstance(first, dg.SensorResult)
    assert isinstance(tick(deployment, first.cursor), dg.SkipReason)


def test_only_the_shards_of_new_problems_are_labelled(
    deployment: Deployment, tmp_path: Path
) -> None:
    write_problems(deployment)
    first = tick(deployment, None)
    assert isinstance(first, dg.SensorResult)
    assert not first.run_requests
    before, _ = load_problems("dropped", deployment.settings.datasets["dropped"], 0)
    add_problems(tmp_path / "train", "new", 1)
    after, _ = load_problems("dropped", deployment.settings.datasets["dropped"], 0)
    [new] = set(after["problem_id"]) - set(before["problem_id"])
    second = tick(deployment, first.cursor)
    assert isinstance(second, dg.SensorResult)
    [request] = second.run_requests or []
    assert request.partition_key == f"dropped|{shard_of(new, 3)}"
    [again] = runs_of(tick(deployment, first.cursor))
    assert again.run_key == request.run_key


def runs_of(result: dg.SensorResult | dg.SkipReason) -> list[dg.RunRequest]:
    assert isinstance(result, dg.SensorResult)
    return list(result.run_requests or [])


def test_a_file_written_again_alike_asks_for_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    write_problems(deployment)
    first = tick(deployment, None)
    assert isinstance(first, dg.SensorResult)
    os.utime(tmp_path / "train" / "first-0.json", (1, 1))
    assert runs_of(tick(deployment, first.cursor)) == []


def test_a_profile_that_reads_no_files_has_no_sensor(deployment: Deployment) -> None:
    assert sensors_of(jobs_of(ASSETS, TINY), TINY) == [lost_runs]
    [_, sensor] = sensors_of(jobs_of(ASSETS, deployment.settings), deployment.settings)
    assert sensor.name == "new_problem_files"


def test_a_run_that_was_killed_under_the_ui_is_marked_as_failed() -> None:
    this = ProcessIdentity.of_this()
    assert this is not None
    assert lost_runs.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance)
        assert lost_runs(context) == dg.SkipReason("no run has lost its process")
        tags = {PROCESS_TAG: dataclasses.replace(this, started=1).to_json()}
        run = instance.create_run_for_job(empty_job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        reason = lost_runs(context)
        assert isinstance(reason, dg.SkipReason)
        assert reason.skip_message == (
            f"Run {run.run_id[:8]} was killed (its process {this.pid} has ended): marked as failed."
        )
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE


@dg.job
def empty_job() -> None:
    """Do nothing."""


def test_runs_of_jobs_say_whose_work_they_are() -> None:
    tags = run_tags(TINY)
    assert tags == {
        "shepherd/generators": "generator",
        "shepherd/completer": "base-large",
        "shepherd/annotators": "monte_carlo",
    }
    assert tags.items() <= DEFINITIONS.resolve_job_def("annotate").tags.items()


def test_the_marts_are_built_anew_every_morning() -> None:
    schedule = DEFINITIONS.resolve_schedule_def("refresh_every_morning")
    assert (schedule.job_name, schedule.cron_schedule) == ("refresh_warehouse", "0 6 * * *")
