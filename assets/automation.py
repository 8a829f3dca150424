"""Start runs automatically, as switched on in the UI, and find those that were killed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg

from assets.annotation.sharding import by_shard
from assets.deployment import Deployment, DeploymentResource
from assets.lost_runs import fail_lost_runs
from resources.storage.io_manager import Partition
from resources.user_paths import expanded
from shepherd.identity import content_id
from shepherd.schemas import PROBLEMS
from shepherd.settings import DatasetSettings, Settings

AssetJob: TypeAlias = Any
"""A job of ``dg.define_asset_job``, whose type Dagster does not export."""

EVERY_MORNING = "0 6 * * *"


def label_new_problems(annotate: AssetJob) -> dg.SensorDefinition:
    """Return the sensor that labels problems whose files are new or have changed."""

    @dg.sensor(
        job=annotate,
        minimum_interval_seconds=60,
        description="Labels new and changed problems of the files that a dataset of the profile "
        "reads: runs `annotate` in the shards whose problems differ from those of the lake.",
    )
    def new_problem_files(
        context: dg.SensorEvaluationContext, deployment: DeploymentResource
    ) -> dg.SensorResult | dg.SkipReason:
        settings = deployment.settings
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        stamps = {
            name: file_stamp(dataset)
            for name, dataset in settings.datasets.items()
            if paths_of(dataset) and dataset.is_annotated
        }
        changed = [name for name, stamp in stamps.items() if seen.get(name) != stamp]
        if not changed:
            return dg.SkipReason("no file of a dataset has changed")
        requests = [request for name in changed for request in runs_for(deployment, name)]
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(stamps))

    return new_problem_files


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process was killed, while the UI runs. It is on by "
    "default and starts no run.",
)
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    lines = fail_lost_runs(context.instance)
    return dg.SkipReason(" ".join(lines) or "no run has lost its process")


def refresh_every_morning(
    refresh_warehouse: AssetJob,
) -> dg.ScheduleDefinition:
    """Return the schedule that builds the warehouse and the report every morning."""
    return dg.ScheduleDefinition(
        name="refresh_every_morning",
        job=refresh_warehouse,
        cron_schedule=EVERY_MORNING,
        description="Builds the warehouse and the report from the lake at 6:00.",
    )


def run_tags(settings: Settings) -> dict[str, str]:
    """Return the tags of a profile's runs: its models and annotators. The UI filters by them."""
    tags = {
        "generators": ", ".join(settings.generators),
        "completer": settings.completer.base if settings.completer else "",
        "annotators": ", ".join(settings.annotation.names),
    }
    return {f"shepherd/{name}": value for name, value in tags.items() if value}


def paths_of(dataset: DatasetSettings) -> list[Path]:
    """Return the local files and folders from which a dataset's problems are read."""
    train = (dataset.train,) if isinstance(dataset.train, str) else dataset.train or ()
    return [expanded(path) for path in (*train, dataset.test) if path]


def file_stamp(dataset: DatasetSettings) -> str:
    """Return a hash that changes when a file of a dataset is added, removed or written."""
    files = [
        file
        for path in paths_of(dataset)
        for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if file.is_file()
    ]
    return content_id(
        *(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)
    )


def runs_for(deployment: Deployment, dataset: str) -> Iterator[dg.RunRequest]:
    """Yield a run for each shard whose problems in the files differ from those in the lake.

    Raises:
        ValueError: the dataset's files cannot be read; the message says what to correct.
    """
    from resources.files.problems import load_problems_of

    settings, lake = deployment.settings, deployment.lake
    loaded, _ = load_problems_of(settings, dataset)
    shards = by_shard(loaded, loaded["problem_id"], settings.shards)
    written = set(lake.partitions(PROBLEMS))
    for shard, problems in shards.items():
        ids, old_ids = sorted(problems["problem_id"]), []
        if (dataset, shard) in written:
            old_ids = sorted(lake.read(PROBLEMS, dataset, shard)["problem_id"])
        if ids != old_ids:
            key = Partition(dataset, shard).key
            yield dg.RunRequest(run_key=f"{key} {content_id(*ids)}", partition_key=key)
