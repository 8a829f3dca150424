"""Print which shards are made, which runs are in progress, and who works on them."""

from collections import Counter
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from assets.definitions import definitions_of
from assets.deployment import partitions_of
from assets.lost_runs import UNFINISHED
from assets.run_processes import process_of
from cli.runs_database import opened_instance
from cli.submission import print_missing_daemons
from cli.tables import plain_tables
from resources.storage.home import Home
from resources.storage.io_manager import Partition
from shepherd.settings import Settings

QUEUED = dg.DagsterRunStatus.QUEUED

PARTITION_TAG = "dagster/partition"
RETRY_TAG = "dagster/retry_number"


def print_status(settings: Settings, home: Home) -> None:
    """Print the tables of shards and workers.

    Raises:
        ValueError: Dagster's databases cannot be used; the message says what to do.
    """
    definitions = definitions_of(settings, home)
    with opened_instance(home, settings.runs) as instance:
        _show("Shards", shards(instance, definitions, settings))
        _show("Workers", workers(instance))
        if home.address:
            _show("Leases", leases(home))
        num_queued = instance.get_runs_count(dg.RunsFilter(statuses=[QUEUED]))
        print(f"\n{num_queued} runs wait in the queue")
        print_missing_daemons(instance)


def shards(
    instance: dg.DagsterInstance, definitions: dg.Definitions, settings: Settings
) -> pl.DataFrame:
    """Return, for each dataset and partitioned asset, how many shards are in which state.

    A shard that was made may be stale: ``shepherd run`` decides that.
    """
    graph, rows = definitions.resolve_asset_graph(), []
    definition = partitions_of(settings)
    keys = definition.get_partition_keys()
    for key in graph.toposorted_asset_keys:
        is_main = definitions.resolve_assets_def(key).op.name == key.to_user_string()
        if not (is_main and graph.get(key).partitions_def):
            continue
        states = instance.get_status_by_partition(key, keys, definition) or {}
        for dataset in sorted(settings.datasets):
            of_dataset = [each for each in keys if Partition.of(each).dataset == dataset]
            found = (states.get(each) for each in of_dataset)
            counts = Counter(state.value if state else "MISSING" for state in found)
            rows.append(
                {
                    "dataset": dataset,
                    "asset": key.to_user_string(),
                    "shards": len(of_dataset),
                    "made": counts["MATERIALIZED"],
                    "in_progress": counts["IN_PROGRESS"],
                    "failed": counts["FAILED"],
                }
            )
    return pl.DataFrame(rows)


def workers(instance: dg.DagsterInstance) -> pl.DataFrame:
    """Return a row for each run in progress: its shard, its worker and its age in minutes."""
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    return pl.DataFrame([_worker(instance, record) for record in records])


def leases(home: Home) -> pl.DataFrame:
    """Return a row for each lease that a worker holds in a home in an object store."""
    # Only such a home needs its package.
    from resources.storage.leases import held_leases
    from resources.storage.store import open_store

    rows = []
    for name, record in held_leases(open_store(home.address)).items():
        process = record.process
        host, pid = (process.host, process.pid) if process else ("-", None)
        rows.append({"lease": name, "epoch": record.epoch, "host": host, "process": pid})
    return pl.DataFrame(rows)


def _worker(instance: dg.DagsterInstance, record: dg.RunRecord) -> dict[str, object]:
    run, process = record.dagster_run, process_of(instance, record.dagster_run)
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    now = datetime.now(UTC).timestamp()
    return {
        "run": run.run_id[:8],
        "state": run.status.value.lower(),
        "shard": run.tags.get(PARTITION_TAG, "-"),
        "assets": ", ".join(assets),
        "host": process.host if process else "-",
        "process": process.pid if process else None,
        "minutes": round((now - (record.start_time or now)) / 60, 1),
        "retry": int(run.tags.get(RETRY_TAG, 0)),
    }


def _show(title: str, table: pl.DataFrame) -> None:
    print(f"\n{title}")
    with plain_tables():
        print(table if table.height else "none")
