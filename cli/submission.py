"""Send what is not up to date to the instance of DAGSTER_HOME, as one backfill."""

import sys
import time
import uuid
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TypeAlias

import dagster as dg

# Dagster's GraphQL API has a call for backfills, but it needs a server that runs.
from dagster._core.definitions.selector import (
    PartitionRangeSelector,
    PartitionsByAssetSelector,
    PartitionsSelector,
)
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from assets.deployment import Deployment, partitions_of
from cli.pipeline import planned
from cli.progress import Progress
from cli.stages import next_wave
from resources.storage.home import Home
from shepherd.settings import Settings

TAG = "shepherd/submitted"
"""The tag of submitted backfills and their runs: the name of the profile."""

DAEMONS = ("BACKFILL", "QUEUED_RUN_COORDINATOR")
"""Dagster's daemons that start the runs of a backfill."""

Pending: TypeAlias = Mapping[dg.AssetKey, Sequence[str]]
"""Assets to make, in topological order, with their partitions; none where they have none."""


def submit_pipeline(
    settings: Settings,
    home: Home,
    assets: Sequence[str] = (),
    partitions: Sequence[str] = (),
    *,
    profile: str = "",
) -> int:
    """Submit every asset that is not up to date and return at once; return the exit code, 0.

    With ``assets``, only those are submitted: in ``partitions`` or in all, up to date or not.

    Raises:
        ValueError: as :func:`cli.pipeline.run_pipeline`; or a submitted backfill is in progress.
    """
    deployment = Deployment(settings, home, Path(profile).stem)
    with planned(deployment, assets, partitions) as plan:
        definitions, instance = plan.definitions, plan.instance
        refuse_second_backfill(instance)
        pending = pending_assets(definitions, plan.progress, plan.keys, partitions_of(settings))
        if not pending:
            print("up to date")
            return 0
        backfill = backfill_of(instance, definitions, pending, profile)
        instance.add_backfill(backfill)
        shards = {partition for each in pending.values() for partition in each}
        print(f"Backfill {backfill.backfill_id}: {len(pending)} assets, {len(shards)} shards")
        later = followers(definitions, pending, plan.keys)
        if later:
            print(f"Decided afterwards, by the same command: {', '.join(later)}")
        print_missing_daemons(instance)
    return 0


def refuse_second_backfill(instance: dg.DagsterInstance) -> None:
    """Check that no submitted backfill is in progress: its runs would be made twice.

    Raises:
        ValueError: one is; the message names it.
    """
    for status in (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING):
        for backfill in instance.get_backfills(status=status):
            if TAG in backfill.tags:
                raise ValueError(
                    f"backfill {backfill.backfill_id} of profile {backfill.tags[TAG]} is in "
                    "progress: wait until it ends (`shepherd status`), or cancel it in the UI"
                )


def pending_assets(
    definitions: dg.Definitions,
    progress: Progress,
    keys: Set[dg.AssetKey],
    partitions: dg.PartitionsDefinition,
) -> Pending:
    """Return which of the assets can be made without deciding again on the way."""
    graph = definitions.resolve_asset_graph()
    ordered = [key for key in graph.toposorted_asset_keys if key in keys]
    partitioned = [key for key in ordered if graph.get(key).partitions_def]
    pending: dict[dg.AssetKey, list[str]] = {}
    for partition in sorted(partitions.get_partition_keys()):
        for key in next_wave(definitions, progress.pending(partitioned, partition)):
            pending.setdefault(key, []).append(partition)
    whole = [key for key in ordered if key not in partitioned]
    pending |= {key: [] for key in next_wave(definitions, progress.pending(whole, None))}
    return {key: pending[key] for key in ordered if key in pending}


def backfill_of(
    instance: dg.DagsterInstance, definitions: dg.Definitions, pending: Pending, profile: str
) -> PartitionBackfill:
    """Return the backfill of pending assets. Its daemon orders the runs by the lineage."""
    backfill: PartitionBackfill = PartitionBackfill.from_partitions_by_assets(
        backfill_id=uuid.uuid4().hex[:8],
        asset_graph=definitions.resolve_asset_graph(),
        backfill_timestamp=time.time(),
        tags={TAG: profile},
        dynamic_partitions_store=instance,
        partitions_by_assets=[
            PartitionsByAssetSelector(asset_key=key, partitions=_selector(partitions))
            for key, partitions in pending.items()
        ],
        # A title has few characters and no "%"; the path of a profile may have more, and is a tag.
        title="shepherd run --submit",
        description=None,
        run_config=None,
    )
    return backfill


def followers(definitions: dg.Definitions, pending: Pending, keys: Set[dg.AssetKey]) -> list[str]:
    """Return the assets that read pending ones and are not pending themselves, by name."""
    graph = definitions.resolve_asset_graph()
    changed, names = set(pending), []
    for key in graph.toposorted_asset_keys:
        if key in keys - changed and graph.get(key).parent_keys & changed:
            changed.add(key)
            names.append(key.to_user_string())
    return names


def print_missing_daemons(instance: dg.DagsterInstance) -> None:
    """Say on stderr if no daemon of Dagster is there to start the runs."""
    statuses = instance.get_daemon_statuses(DAEMONS)
    if not all(status.healthy for status in statuses.values()):
        print(
            "warning: no daemon of Dagster has reported in the last minutes: nothing starts until "
            "`dagster-daemon run` or `shepherd ui` serves this DAGSTER_HOME",
            file=sys.stderr,
        )


def _selector(partitions: Sequence[str]) -> PartitionsSelector | None:
    if not partitions:
        return None
    return PartitionsSelector([PartitionRangeSelector(start=key, end=key) for key in partitions])
