import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import assets_of, definitions_of
from assets.warehouse.marts import WAREHOUSE_GROUPS
from resources.profiles import load_settings
from resources.storage.home import Home
from shepherd.dependencies import code_version
from shepherd.settings import Settings
from tests.profiles import TINY

ROOT = Path(__file__).parent.parent
DEFINITIONS = definitions_of(TINY, Home(Path("unused")))
SNAPSHOT = Path(__file__).parent / "snapshots" / "assets.txt"


def described(definitions: dg.Definitions) -> str:
    """Every asset with all that the UI shows of it, one block an asset, in lineage order."""
    graph = definitions.resolve_asset_graph()
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    blocks = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        columns = specs[key].metadata.get("dagster/column_schema")
        lines = [
            key.to_user_string(),
            f"  group: {node.group_name}",
            f"  reads: {', '.join(sorted(k.to_user_string() for k in node.parent_keys)) or '-'}",
            f"  partitions: {_partitions(node.partitions_def)}",
            f"  kinds: {', '.join(sorted(node.kinds or []))}",
            f"  owners: {', '.join(node.owners)}",
            f"  pools: {', '.join(sorted(node.pools or [])) or '-'}",
            f"  backfill: {_backfill(node.backfill_policy)}",
            *(f"  | {line}" for line in (node.description or "").splitlines() if line),
            *(
                f"  column {column.name} {column.type}: {column.description}"
                for column in (columns.columns if columns else [])
            ),
        ]
        for check_key in sorted(graph.get_check_keys_for_assets({key}), key=str):
            check = graph.get_check_spec(check_key)
            kind = "blocking" if check.blocking else "warning"
            lines.append(f"  {kind} check {check.name}: {check.description}")
        blocks.append("\n".join(lines))
    jobs = [f"job {job.name}" for job in definitions.jobs or []]
    schedules = [f"schedule {schedule.name}" for schedule in definitions.schedules or []]
    return "\n\n".join([*blocks, "\n".join([*jobs, *schedules])]) + "\n"


def _partitions(definition: dg.PartitionsDefinition | None) -> str:
    if definition is None:
        return "-"
    assert isinstance(definition, dg.MultiPartitionsDefinition)
    return " x ".join(dimension.name for dimension in definition.partitions_defs)


def _backfill(policy: dg.BackfillPolicy | None) -> str:
    if policy is None:
        return "-"
    return f"{policy.max_partitions_per_run or 'all'} partitions a run"


def test_every_asset_is_as_reviewed() -> None:
    """To accept a change: UPDATE_SNAPSHOTS=1 pytest tests/test_definitions.py, then review."""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(described(DEFINITIONS))
    assert described(DEFINITIONS) == SNAPSHOT.read_text()


LOAD = """
import os, sys
import assets.definitions
print("imported")
os.environ["SHEPHERD_PROFILE"] = "tiny"
assets.definitions.defs().resolve_asset_graph()
print(sorted({'torch', 'transformers', 'sympy', 'math_verify'} & sys.modules.keys()))
import torch
"""


@pytest.fixture(scope="module")
def loaded() -> "subprocess.CompletedProcess[str]":
    """A process that imports the code location under a wrong profile, then loads it under tiny."""
    return subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=ROOT,
        env={**os.environ, "SHEPHERD_PROFILE": "no such profile"},
        capture_output=True,
        text=True,
        check=True,
    )


def test_importing_the_code_location_reads_no_environment(
    loaded: "subprocess.CompletedProcess[str]",
) -> None:
    assert loaded.stdout.splitlines()[0] == "imported"


def test_the_location_loads_without_torch(loaded: "subprocess.CompletedProcess[str]") -> None:
    """How many seconds that takes is measured by benchmarks.ui."""
    assert loaded.stdout.splitlines()[1:] == ["[]"]


def test_no_connection_is_open_when_a_process_ends(
    loaded: "subprocess.CompletedProcess[str]",
) -> None:
    """DuckDB's binding reports objects that outlive Python, once torch keeps modules alive."""
    assert not re.search(r"leaked instance .*DuckDBPyConnection", loaded.stderr)


def test_the_workspace_validates() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location math_shepherd" in done.stderr + done.stdout


def test_two_profiles_are_built_in_one_process_without_an_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("SHEPHERD_PROFILE", "SHEPHERD_HOME", "DAGSTER_HOME"):
        monkeypatch.delenv(variable)
    profiles = {name: load_settings(name) for name in ("tiny", "study")}
    graphs = {
        name: definitions_of(settings, Home(Path("unused"))).resolve_asset_graph()
        for name, settings in profiles.items()
    }
    for name, graph in graphs.items():
        versions = {
            key.to_user_string(): graph.get(key).code_version
            for key in graph.get_all_asset_keys()
            if graph.get(key).group_name not in WAREHOUSE_GROUPS
        }
        assert versions == {asset: code_version(profiles[name], asset) for asset in versions}
        partitions = graph.get(dg.AssetKey("problems")).partitions_def
        assert partitions is not None
        num_partitions = len(profiles[name].datasets) * profiles[name].shards
        assert len(partitions.get_partition_keys()) == num_partitions
    changed = ("problems", "rollouts", "step_labels", "process_reward_model", "evaluations")
    for asset in map(dg.AssetKey, changed):
        first, second = (graph.get(asset).code_version for graph in graphs.values())
        assert first != second, asset


def names(assets: list[dg.AssetsDefinition]) -> set[str]:
    return {key.to_user_string() for asset in assets for key in asset.keys}


def test_a_profile_that_imports_all_solutions_samples_nothing() -> None:
    settings = Settings.model_validate(
        {"datasets": {"gsm8k": {"source": "gsm8k", "solutions": "samples.jsonl"}}}
    )
    assert names(assets_of(settings)) >= {"problems", "solutions", "steps"}
    assert names(assets_of(settings)).isdisjoint({"rollouts", "candidates", "evaluations"})


def test_a_profile_without_reward_models_trains_none() -> None:
    settings = TINY.model_copy(update={"outcome_reward_model": None, "process_reward_model": None})
    left_out = names(assets_of(TINY)) - names(assets_of(settings))
    assert left_out == {"outcome_reward_model", "process_reward_model"}


@pytest.mark.parametrize(
    "fields",
    [
        {"num_test": 0},
        {"num_test": 0, "reward_model": "b"},
        {"num_test": 2, "solves": ["train"]},
    ],
)
def test_a_profile_that_only_labels_verifies_nothing(fields: dict[str, object]) -> None:
    dataset = {"source": "word_problems", "num_train": 2, "num_test": fields["num_test"]}
    settings = Settings.model_validate(
        {
            "datasets": {"w": dataset},
            "generators": {"g": {"base": "b", "solves": fields.get("solves", ["train", "test"])}},
            "completer": {"base": "b"},
            "process_reward_model": fields.get("reward_model") and {"base": "b"},
        }
    )
    made = names(assets_of(settings))
    assert made >= {"step_labels", "labeled_solutions", "report"}
    assert made.isdisjoint({"candidates", "candidate_scores", "evaluations"})
    assert "verify" not in {
        job.name for job in definitions_of(settings, Home(Path("x"))).jobs or []
    }


def test_a_generator_may_not_take_the_name_of_an_asset() -> None:
    settings = TINY.model_copy(
        update={"generators": {"completer": TINY.generators["generator"]}, "policies": {}}
    )
    with pytest.raises(ValueError, match=r"generators\.completer: .* choose another"):
        assets_of(settings)


def test_what_starts_runs_says_what_it_does() -> None:
    definitions = definitions_of(load_settings("gsm8k-small"), Home(Path("unused")))
    repository = definitions.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    started = [*jobs, *repository.sensor_defs, *repository.schedule_defs]
    assert len(started) >= 6
    for one in started:
        assert len(one.description or "") > 40, one.name
