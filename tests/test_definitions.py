import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import ASSETS, assets_of, defs
from assets.deployment import SETTINGS
from shepherd.settings import Settings

ROOT = Path(__file__).parent.parent
SNAPSHOT = Path(__file__).parent / "snapshots" / "assets.txt"


def told(definitions: dg.Definitions) -> str:
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
    """After a wanted change: UPDATE_SNAPSHOTS=1 pytest tests/test_definitions.py, then review."""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(told(defs))
    assert told(defs) == SNAPSHOT.read_text()


def test_the_location_loads_in_seconds_and_without_torch() -> None:
    script = (
        "import sys, time; started = time.process_time(); import assets.definitions as d;"
        "d.defs.resolve_asset_graph(); seconds = time.process_time() - started;"
        "heavy = {'torch', 'transformers', 'sympy', 'math_verify'} & sys.modules.keys();"
        "print(sorted(heavy), seconds < 3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[]", "True"]


def test_no_connection_is_open_when_a_process_ends() -> None:
    """DuckDB's binding tells of objects that outlive Python, once torch keeps modules alive."""
    done = subprocess.run(
        [sys.executable, "-c", "import assets.definitions, torch"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not re.search(r"leaked instance .*DuckDBPyConnection", done.stderr)


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


def names(assets: list[dg.AssetsDefinition]) -> set[str]:
    return {key.to_user_string() for asset in assets for key in asset.keys}


def test_a_profile_that_imports_all_solutions_samples_nothing() -> None:
    settings = Settings.model_validate(
        {"datasets": {"gsm8k": {"source": "gsm8k", "solutions": "samples.jsonl"}}}
    )
    assert names(assets_of(settings)) >= {"problems", "solutions", "steps"}
    assert names(assets_of(settings)).isdisjoint({"rollouts", "candidates", "evaluations"})


def test_a_profile_without_reward_models_trains_none() -> None:
    settings = SETTINGS.model_copy(
        update={"outcome_reward_model": None, "process_reward_model": None}
    )
    left_out = names(ASSETS) - names(assets_of(settings))
    assert left_out == {"outcome_reward_model", "process_reward_model"}


def test_a_generator_may_not_take_the_name_of_an_asset() -> None:
    settings = SETTINGS.model_copy(
        update={"generators": {"completer": next(iter(SETTINGS.generators.values()))}}
    )
    with pytest.raises(ValueError, match=r"generators\.completer: .* choose another"):
        assets_of(settings)
