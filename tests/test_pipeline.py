"""The whole pipeline on the tiny profile, in this process; then what a user does with it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from click.testing import CliRunner
from dagster._cli import create_dagster_cli
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.definitions import definitions_of, defs
from assets.deployment import partitions_of
from cli import pipeline
from cli.changed_settings import OTHER_VERSION
from cli.progress import KEPT_TEXTS, Progress
from cli.runs_database import opened_instance
from resources.engines import open_engine
from resources.sampling.solutions import draw_solutions
from resources.sampling.stage import CompletionModel, Shard, StageOutput
from resources.storage.home import Home
from resources.storage.io_manager import Partition
from resources.storage.lake import Lake
from shepherd import schemas
from shepherd.requests import Engine
from shepherd.settings import EngineSettings, Settings
from tests.profiles import TINY
from tests.recorded import Recorded, check_lineage, recording

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent
PARTITION_KEYS = sorted(partitions_of(TINY).get_partition_keys())
HANGS_S = 1_800
"""Seconds after which a process counts as hanging, on the busiest machine."""


def run_pipeline(
    home: Home,
    assets: Sequence[str] = (),
    partitions: Sequence[str] = (),
    settings: Settings = TINY,
) -> int:
    return pipeline.run_pipeline(settings, home, assets, partitions)


RECORDED: list[Recorded] = []
"""What the first run of the pipeline read and wrote."""


@pytest.fixture(scope="module")
def home() -> Home:
    """The home of all tests, with the pipeline run once."""
    home = Home.from_env()
    with recording() as recorded:
        assert run_pipeline(home) == 0
    RECORDED[:] = [recorded]
    return home


def test_lineage_is_what_assets_read_and_write(home: Home) -> None:
    check_lineage(RECORDED[0], definitions_of(TINY, home), home.lake)


@pytest.fixture
def lake(home: Home) -> Lake:
    return Lake(home.lake)


def run(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )


def test_every_stage_wrote_what_the_profile_asks_for(lake: Lake) -> None:
    [dataset], sampling = TINY.datasets.values(), TINY.sampling
    assert dataset.num_train
    assert dataset.num_test
    draws = dataset.num_train * sampling.samples_per_problem
    steps = lake.read(schemas.STEPS)
    prefixes = steps.filter(~pl.col("is_last"))["prefix_id"].n_unique()
    assert lake.read(schemas.PROBLEMS).height == dataset.num_train + dataset.num_test
    assert lake.read(schemas.SOLUTIONS)["num_samples"].sum() == draws
    assert lake.read(schemas.ROLLOUTS).height == prefixes * TINY.annotation.max_rollouts
    assert lake.read(schemas.STEP_LABELS).height == steps.height
    assert lake.read(schemas.ORACLE_LABELS).height == steps.height
    candidates = lake.read(schemas.CANDIDATES)
    solvers = TINY.candidate_generators
    assert solvers == ["generator", "step_ppo"]
    assert candidates.height == len(solvers) * dataset.num_test * sampling.num_candidates
    assert lake.read(schemas.CANDIDATE_SCORES).height == 2 * candidates.height
    assert set(lake.read(schemas.EVALUATIONS)["method"]) == {
        "pass@1",
        "pass@N",
        "SC",
        "ORM",
        "PRM",
        "SC+ORM",
        "SC+PRM",
    }
    models = {"generator": "SFT", "rft": "RFT", "orm_ppo": "ORM-PPO", "step_ppo": "step-PPO"}
    assert lake.read(schemas.GREEDY_SOLUTIONS).height == len(models) * dataset.num_test
    policies = lake.read(schemas.POLICY_EVALUATIONS)
    assert dict(policies.select("policy", "method").iter_rows()) == models
    assert lake.partitions(schemas.STEPS) == [tuple(key.split("|")) for key in PARTITION_KEYS]


def test_no_journal_is_left_behind(home: Home) -> None:
    assert list(home.journals.rglob("*.journal")) == []


def test_the_runs_are_kept_with_numbers_to_plot(home: Home) -> None:
    with dg.DagsterInstance.get() as instance:
        for asset, number in {
            "solutions": "share_correct",
            "steps": "mean_steps",
            "rollouts": "rollouts_merged",
            "step_labels": "monte_carlo_num_steps",
            "candidates": "tokens_per_second",
        }.items():
            for key in PARTITION_KEYS:
                event = latest(instance, asset, key)
                assert isinstance(event.metadata[number].value, int | float), (asset, key)
                assert event.metadata["dagster/row_count"].value >= 0


def latest(instance: dg.DagsterInstance, asset: str, partition: str) -> dg.AssetMaterialization:
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition]), limit=1
    )
    materialization = found.records[0].asset_materialization
    assert materialization is not None
    return materialization


def test_a_second_run_has_nothing_to_do(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_pipeline(home) == 0
    output = capsys.readouterr().out
    assert "-- " not in output
    assert output.count("up to date") == output.count("==\nup to date")
    assert "Share of test problems solved" in output


@pytest.fixture(scope="module")
def records(home: Home) -> Iterator[LoadingContextForTest]:
    """What Dagster reads of the runs, read once for several profiles."""
    with opened_instance(home, TINY.runs) as instance:
        yield LoadingContextForTest(instance)


def stale_assets(definitions: dg.Definitions, records: LoadingContextForTest) -> list[str]:
    """Return the assets that the UI marks as stale, or missing, in any partition."""
    graph = definitions.resolve_asset_graph()
    statuses = CachingStaleStatusResolver(records.instance, graph, records)
    return sorted(
        {
            key.to_user_string()
            for key in graph.get_all_asset_keys()
            for definition in [graph.get(key).partitions_def]
            for partition in (definition.get_partition_keys() if definition else [None])
            if statuses.get_status(key, partition) is not StaleStatus.FRESH
        }
    )


ROLLOUTS = ["asked_rollouts", "rollout_costs", "rollouts", "search_trees"]


@pytest.mark.parametrize(
    ("field", "value", "stale"),
    [
        ("seed", 0, []),
        (
            "annotation.annotators",
            [{"kind": "monte_carlo", "num_rollouts": 3}],
            ["monte_carlo_labels", *ROLLOUTS],
        ),
        ("completer.training.epochs", 2, ["completer"]),
        ("completer.template", "metamath", ["completer", *ROLLOUTS]),
        ("sampling.num_candidates", 4, ["candidate_costs", "candidates", "evaluations"]),
    ],
)
def test_a_changed_profile_marks_what_it_affects_as_stale(
    records: LoadingContextForTest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    value: object,
    stale: list[str],
) -> None:
    profile = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    *sections, name = field.split(".")
    section = profile
    for each in sections:
        section = section[each]
    section[name] = value
    edited = tmp_path / "edited.yaml"
    edited.write_text(yaml.safe_dump(profile))
    monkeypatch.setenv("SHEPHERD_PROFILE", str(edited))
    assert stale_assets(defs(), records) == sorted(stale)


@pytest.mark.slow
def test_a_failed_shard_stops_no_other_and_is_told(
    home: Home, lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing, sound = (Partition.of(key) for key in PARTITION_KEYS)
    paths = {at: lake.path("solutions", *at) for at in (failing, sound)}
    before = {at: path.read_bytes() for at, path in paths.items()}
    for path in paths.values():
        path.unlink()

    def fail(
        problems: pl.DataFrame, sampler: CompletionModel, sampling: object, shard: Shard, _: Lake
    ) -> StageOutput:
        if shard.key == failing.shard:
            raise ValueError("the model is gone: bring it back")
        return draw_solutions(problems, sampler, TINY.sampling, shard)

    monkeypatch.setattr("resources.sampling.solutions.draw_solutions", fail)
    assert run_pipeline(home) == 2
    output = capsys.readouterr()
    assert [line for line in output.err.splitlines() if "error" in line] == [
        f"error: solutions ({failing.key}): the model is gone: bring it back"
    ]
    assert "Reward models" not in output.out
    assert not paths[failing].exists()
    assert paths[sound].read_bytes() == before[sound]

    monkeypatch.undo()
    assert run_pipeline(home) == 0
    assert f"-- {sound.key}: solutions" not in capsys.readouterr().out
    assert paths[failing].read_bytes() == before[failing]


def test_rollouts_that_are_there_are_not_drawn_again(
    home: Home, lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = Partition.of(PARTITION_KEYS[0])
    before = lake.path("rollouts", *at).read_bytes()
    [cost] = lake.read(schemas.ROLLOUT_COSTS, *at).to_dicts()

    def refuse(engine: EngineSettings, checkpoint: Path) -> Engine:
        if checkpoint.name == "completer":
            raise AssertionError("an engine was opened although all rollouts are there")
        return open_engine(engine, checkpoint)

    monkeypatch.setattr("resources.sampling.stage.open_engine", refuse)
    assert run_pipeline(home, ["rollouts"], [at.key]) == 0
    assert f"-- {at.key}: rollouts\n" in capsys.readouterr().out
    assert lake.path("rollouts", *at).read_bytes() == before
    [again] = lake.read(schemas.ROLLOUT_COSTS, *at).to_dicts()
    assert again == cost | {"seconds": pytest.approx(cost["seconds"])}


def pending(home: Home, settings: Settings = TINY) -> dict[str, str]:
    """Why each asset is to be made, in any partition."""
    definitions = definitions_of(settings, home)
    graph = definitions.resolve_asset_graph()
    with dg.DagsterInstance.get() as instance:
        progress = Progress(instance, definitions)
        return {
            each.key.to_user_string(): each.reason
            for key in graph.toposorted_asset_keys
            for partition in (PARTITION_KEYS if graph.get(key).partitions_def else [None])
            for each in progress.pending([key], partition)
        }


def test_what_is_made_again_with_equal_content_makes_nothing_stale(home: Home) -> None:
    assert run_pipeline(home, ["step_labels", "steps"], PARTITION_KEYS[:1]) == 0
    assert pending(home) == {}


def test_a_changed_label_makes_what_reads_it_stale(home: Home, lake: Lake) -> None:
    at = Partition.of(PARTITION_KEYS[0])
    labels = lake.read(schemas.labels_table("monte_carlo"), *at)
    changed = labels.with_columns(hard=1 - pl.col("hard"))
    lake.write(schemas.labels_table("monte_carlo"), changed, *at)
    assert run_pipeline(home, ["step_labels", "labeled_solutions"], [at.key]) == 0
    reasons = pending(home)
    for model in ("outcome_reward_model", "process_reward_model"):
        assert reasons[model] == "reads labeled_solutions, which has changed"
    assert "rollouts" not in reasons
    assert "candidate_scores" not in reasons
    assert reasons["monte_carlo_labels"].endswith("killed, or by another program")
    # Made from equal content once more, nothing is stale.
    assert run_pipeline(home, ["monte_carlo_labels", "step_labels", "labeled_solutions"]) == 0
    assert pending(home) == {}


def test_graded_texts_of_another_version_are_said_to_be_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shepherd.dependencies.code_versions.GRADING_VERSION", "another")
    kept = f"{OTHER_VERSION}; {KEPT_TEXTS}"
    drawn = ("solutions", "solution_costs", "rollouts", "candidates", "greedy_solutions")
    reasons = pending(home)
    assert [reasons[name] for name in drawn] == [kept] * len(drawn)
    # The draws of RFT are not stored.
    assert reasons["rft"] == OTHER_VERSION


def test_a_reason_names_the_fields_and_their_values(home: Home) -> None:
    profile = TINY.model_dump()
    profile["annotation"]["annotators"][0]["num_rollouts"] = 3
    reasons = pending(home, Settings.model_validate(profile))
    assert reasons["rollouts"] == "annotation.annotators.monte_carlo.num_rollouts was 2, is 3"
    assert "solutions" not in reasons


@pytest.mark.slow
def test_ctrl_c_stops_with_one_line(tmp_path: Path) -> None:
    output, errors = tmp_path / "out", tmp_path / "err"
    environment = {"SHEPHERD_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "run", "--profile", "tiny"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    while "completer, generator" not in output.read_text():
        assert process.poll() is None, errors.read_text()
        time.sleep(0.1)
    time.sleep(2)
    # As a terminal does: to every process of the group.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=HANGS_S) == 130
    stopped = "Stopped. Finished work is saved: the same command resumes."
    assert output.read_text().splitlines()[-1] == stopped
    assert "Traceback" not in errors.read_text()


def test_named_assets_are_made_again_and_no_other(
    home: Home, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    def stamps(table: str) -> list[int]:
        paths = (lake.path(table, *key.split("|")) for key in PARTITION_KEYS)
        return [path.stat().st_mtime_ns for path in paths]

    steps, labels = stamps("steps"), stamps("step_labels")
    capsys.readouterr()
    assert run_pipeline(home, ["steps"], PARTITION_KEYS[1:]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "-- " in line] == [
        f"-- {PARTITION_KEYS[1]}: steps"
    ]
    assert stamps("steps")[0] == steps[0]
    assert stamps("steps")[1] > steps[1]
    assert run_pipeline(home, ["steps", "step_labels"]) == 0
    assert f"{PARTITION_KEYS[0]} to {PARTITION_KEYS[-1]}: steps, step_labels" in (
        capsys.readouterr().out
    )
    assert all(new > old for new, old in zip(stamps("step_labels"), labels, strict=True))


def test_an_asset_or_partition_that_the_profile_lacks_is_named(home: Home) -> None:
    with pytest.raises(ValueError, match="--assets stepss: the profile has none: it has steps"):
        run_pipeline(home, ["stepss"])
    with pytest.raises(ValueError, match=r"--partitions words\|00: .* it has word_problems\|00"):
        run_pipeline(home, ["steps"], ["words|00"])


@pytest.mark.slow
def test_one_partition_and_a_range_from_the_command_line(home: Home, lake: Lake) -> None:
    path = lake.path("steps", *PARTITION_KEYS[0].split("|"))
    before = path.read_bytes()
    path.unlink()
    select = (SCRIPTS / "dagster", "asset", "materialize", "-m", "assets.definitions", "--select")
    one = run(*select, "steps", "--partition", PARTITION_KEYS[0])
    assert one.returncode == 0, one.stderr
    assert path.read_bytes() == before
    path.unlink()
    span = "...".join((PARTITION_KEYS[0], PARTITION_KEYS[-1]))
    arguments = (*select[1:], "steps,step_labels", "--partition-range", span)
    whole = CliRunner().invoke(create_dagster_cli(), arguments)
    assert whole.exit_code == 0, whole.output
    assert path.read_bytes() == before


LAUNCH = """
mutation Backfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@contextmanager
def daemon() -> Iterator[None]:
    process = subprocess.Popen(
        [SCRIPTS / "dagster-daemon", "run", "-w", "workspace.yaml"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=HANGS_S)


@pytest.mark.slow
def test_a_backfill_from_the_ui_runs_each_shard_alone(home: Home, tmp_path: Path) -> None:
    # One function makes the solutions and other tables, and the UI adds those to the selection.
    solutions = definitions_of(TINY, home).resolve_asset_graph().get(dg.AssetKey("solutions"))
    parameters = {
        "assetSelection": [{"path": key.path} for key in solutions.execution_set_asset_keys],
        "partitionNames": PARTITION_KEYS,
        "fromFailure": False,
    }
    answer = tmp_path / "answer.json"
    variables = json.dumps({"backfillParams": parameters})
    graphql = (SCRIPTS / "dagster-graphql", "-w", "workspace.yaml", "-t", LAUNCH)
    launched = run(*graphql, "-v", variables, "-o", answer)
    assert launched.returncode == 0, launched.stderr
    reply = json.loads(answer.read_text())["data"]["launchPartitionBackfill"]
    assert reply["__typename"] == "LaunchBackfillSuccess", reply
    of_backfill = dg.RunsFilter(tags={"dagster/backfill": reply["backfillId"]})
    # The daemon looks for backfills at its start, then twice a minute.
    with dg.DagsterInstance.get() as instance, daemon():
        deadline = time.monotonic() + HANGS_S
        while time.monotonic() < deadline:
            runs = instance.get_runs(of_backfill)
            if len(runs) == len(PARTITION_KEYS) and all(run.is_finished for run in runs):
                break
            time.sleep(1)
    ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    assert {tuple(run.tags[end] for end in ends): run.status for run in runs} == {
        (key, key): dg.DagsterRunStatus.SUCCESS for key in PARTITION_KEYS
    }
