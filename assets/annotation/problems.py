"""Load problems: generated word problems, and the files of published datasets."""

from collections.abc import Mapping

import dagster as dg

from assets.annotation.sharding import by_shard, count_rejected, rejected_frames
from assets.deployment import ONE_RUN, DeploymentResource
from assets.tables import table_asset
from resources.storage.io_manager import Frames, Partition
from shepherd.schemas import PROBLEMS, REJECTED_PROBLEMS
from shepherd.settings import Settings


def problems_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all problems, and of the rows of their files that were rejected."""

    @table_asset(
        settings,
        PROBLEMS,
        siblings=[REJECTED_PROBLEMS],
        group="problems",
        kinds={"python"},
        backfill_policy=ONE_RUN,
    )
    def problems(
        context: dg.AssetExecutionContext, deployment: DeploymentResource
    ) -> Mapping[str, Frames]:
        """Generated or published problems. Each is in the shard that its id hashes to.

        Input rows that cannot be used are in `rejected_problems`.
        """
        deployment.lake.check_shards(settings)
        return sharded_problems(context, settings)

    return problems


def sharded_problems(context: dg.AssetExecutionContext, settings: Settings) -> Mapping[str, Frames]:
    """Load the problems of the run's datasets; return the partitions of both tables.

    Raises:
        ValueError: a file cannot be read or too many of its rows are bad; nothing is written.
    """
    from resources.files.problems import load_problems_of

    partitions = tuple(Partition.of(key) for key in sorted(context.partition_keys))
    datasets = sorted({partition.dataset for partition in partitions})
    # Every dataset is loaded before one is written, because each may be refused.
    loaded = {dataset: load_problems_of(settings, dataset) for dataset in datasets}
    shards = {
        dataset: by_shard(problems, problems["problem_id"], settings.shards)
        for dataset, (problems, _) in loaded.items()
    }
    rejected = {dataset: rows for dataset, (_, rows) in loaded.items()}
    for dataset, rows in rejected.items():
        count_rejected(context, PROBLEMS, dataset, rows)
    return {
        PROBLEMS.name: Frames(partitions, lambda at: shards[at.dataset][at.shard]),
        REJECTED_PROBLEMS.name: rejected_frames(rejected, partitions, settings.shards),
    }
