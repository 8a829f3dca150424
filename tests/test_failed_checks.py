"""Checks that fail, and files that no run recorded, are found by the next run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.automation import run_tags
from assets.checks.structural import no_rows, partition_check
from assets.deployment import ONE_RUN, Deployment, partitions_of
from cli.dagster_home import prepare_dagster_home
from cli.pipeline import print_failures, run_pipeline
from cli.progress import Progress, _in_home
from cli.runs_database import opened_instance
from cli.stages import run_stages
from resources.storage.home import Home
from resources.storage.io_manager import Frames, ParquetIOManager, Partition
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from shepherd.schemas import PROBLEMS
from tests.profiles import TINY
from tests.test_digests import lake_with_rows
from tests.test_lake import problems, settings


def definitions_of(lake: Lake, failing: set[str], *, blocking: bool) -> dg.Definitions:
    """Return the table ``problems`` in two shards; rows of the shards ``failing`` fail a check."""
    two_shards = settings(shards=2)

    @dg.asset(
        name="problems",
        group_name="problems",
        partitions_def=partitions_of(two_shards),
        backfill_policy=ONE_RUN,
    )
    def table(context: dg.AssetExecutionContext) -> Frames:
        partitions = tuple(Partition.of(key) for key in sorted(context.partition_keys))
        return Frames(partitions, lambda partition: problems(f"of {partition.shard}"))

    @partition_check(two_shards, "problems", blocking=blocking)
    def holds(problems: Frames) -> dg.AssetCheckResult:
        return no_rows(
            Frames(
                problems.partitions,
                lambda at: problems[at] if at.shard in failing else problems[at].clear(),
            )
        )

    manager = ParquetIOManager(
        lake,
        {"problems": PROBLEMS},
        lambda table, rows: {},
        totals=lambda table, rows: {},
        origin=lambda table, partition: {},
        after_write=lambda table, partition: None,
    )
    return dg.Definitions(
        assets=[table],
        asset_checks=[holds],
        resources={
            "io_manager": manager,
            "deployment": Deployment(settings(2), Home(lake.root.parent)),
        },
        executor=dg.in_process_executor,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(lake: Lake, instance: dg.DagsterInstance, failing: set[str], *, blocking: bool) -> int:
    definitions = definitions_of(lake, failing, blocking=blocking)
    keys = set(definitions.resolve_asset_graph().get_all_asset_keys())
    failures = run_stages(definitions, instance, Progress(instance, definitions), keys)
    return print_failures(failures) if failures else 0


@pytest.mark.parametrize("blocking", [True, False])
def test_a_failing_check_of_severity_error_ends_the_run_until_it_holds(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    capsys: pytest.CaptureFixture[str],
    blocking: bool,
) -> None:
    lake = Lake(tmp_path / "lake")
    for _ in range(2):
        assert run(lake, instance, {"01"}, blocking=blocking) == 1
        line, advice = capsys.readouterr().err.splitlines()
        assert line.startswith("error: problems (words|0")
        assert "holds does not hold: failing_rows 1: " in line
        assert line.endswith(str(lake.path("problems", "words", "01")))
        assert advice.startswith("Finished work is kept")
    assert run(lake, instance, set(), blocking=blocking) == 0
    out = capsys.readouterr().out
    assert "problems: the check holds did not hold" in out
    assert "words|00" not in out
    assert run(lake, instance, set(), blocking=blocking) == 0
    assert "up to date" in capsys.readouterr().out


def test_rows_that_no_run_recorded_are_made_again(
    tmp_path: Path, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is killed between a file and its event leaves such rows."""
    lake = Lake(tmp_path / "lake")
    assert run(lake, instance, set(), blocking=True) == 0
    path = lake.write(PROBLEMS, problems("of a killed run"), "words", "00")
    capsys.readouterr()
    assert run(lake, instance, set(), blocking=True) == 0
    out = capsys.readouterr().out
    assert f"{path} was written by a run that was killed, or by another program" in out
    assert "words|01" not in out
    assert lake.read(PROBLEMS, "words", "00")["question"].to_list() == ["of 00"]
    lake.read(PROBLEMS, "words", "01").clear().write_parquet(lake.path("problems", "words", "01"))
    assert run(lake, instance, set(), blocking=True) == 0
    assert lake.read(PROBLEMS, "words", "01").height == 1


def test_a_stray_file_ends_a_run_with_1_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.pipeline.run_stages", lambda *_: [])
    home = Home(tmp_path)
    path = lake_with_rows(home.lake).path("problems", "words", "00")
    assert run_pipeline(settings(2), home, ["problems"]) == 0
    stray = path.with_name("00 (copy).parquet")
    stray.write_bytes(path.read_bytes())
    assert run_pipeline(settings(2), home, ["problems"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {stray}: is no shard of a dataset, and was not read: move it")


def test_what_a_moved_home_holds_is_up_to_date(
    tmp_path: Path, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    home, copy, moved = (Home(tmp_path / name) for name in ("home", "copy", "moved"))
    assert run(Lake(home.lake), instance, set(), blocking=True) == 0
    shutil.copytree(home.root, copy.root)
    # The copy is compared with its own files, and not with those of the first home.
    path = Lake(home.lake).write(PROBLEMS, problems("later"), "words", "00")
    capsys.readouterr()
    assert run(Lake(copy.lake), instance, set(), blocking=True) == 0
    path.unlink()
    copy.root.rename(moved.root)
    assert run(Lake(moved.lake), instance, set(), blocking=True) == 0
    assert "problems" not in capsys.readouterr().out


def test_each_recorded_path_has_its_place_in_a_home(tmp_path: Path) -> None:
    old, home = Home(tmp_path / "models"), Home(tmp_path / "home")
    store = ModelStore(old.models).link("generator")
    for name, recorded, expected in (
        ("evaluations", old.lake / "evaluations/all.parquet", "lake/evaluations/all.parquet"),
        ("generator", store, "models/generator"),
        ("sampling_costs", old.warehouse, "warehouse.duckdb"),
        ("report", old.report, "report.html"),
        ("exports", old.exports, "exports"),
    ):
        assert _in_home(home, dg.AssetKey(name), None, recorded) == home.root / expected


def test_checks_run_without_partitions_as_the_button_execute_all_starts_them(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """They check all partitions of the lake, and name those that fail."""
    lake = Lake(tmp_path / "lake")
    assert run(lake, instance, set(), blocking=True) == 0
    definitions = definitions_of(lake, {"01"}, blocking=True)
    [key] = definitions.resolve_asset_graph().asset_check_keys
    result = dg.materialize(
        [*(definitions.assets or ()), *(definitions.asset_checks or ())],
        selection=dg.AssetSelection.checks(key),
        instance=instance,
        resources=definitions.resources,
        raise_on_error=False,
    )
    [evaluation] = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.metadata["partitions"].value == "words|01"


def test_runs_of_the_command_are_on_the_timeline_with_the_tags_of_jobs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home.dagster))
        prepare_dagster_home(home.dagster)
        assert run_pipeline(TINY, home, ["problems"]) == 0
        with opened_instance(home) as opened:
            [run] = opened.get_runs()
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "math_shepherd"
    assert run.tags.items() >= run_tags(TINY).items()
    assert run.tags["shepherd/annotators"] == "monte_carlo"
