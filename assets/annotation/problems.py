import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from resources.storage.io_manager import Frames, Partition
from shepherd.identity import shard_of
from shepherd.schemas import PROBLEMS, REJECTED


@table_asset(
    PROBLEMS,
    group="problems",
    kinds={"python"},
    backfill_policy=ONE_RUN,
    # How solutions are cut changes no problem, and must not draw solutions again.
    code_version=version_of(
        SETTINGS.seed,
        SETTINGS.shards,
        *(d.model_dump_json(exclude={"splitting": {"method"}}) for d in SETTINGS.datasets.values()),
    ),
)
def problems(context: dg.AssetExecutionContext, deployment: DeploymentResource) -> Frames:
    """Generated or published; each lies in the shard that its id hashes to.

    Rows that cannot be used are set aside in the lake table `rejected`.
    """
    from resources.files.problems import load_problems_of

    settings, lake = deployment.settings, deployment.lake
    lake.check_shards(settings)
    partitions = tuple(Partition.of(key) for key in sorted(context.partition_keys))
    datasets = sorted({partition.dataset for partition in partitions})
    # All are read before anything is written, as each may be refused.
    loaded = {dataset: load_problems_of(settings, dataset) for dataset in datasets}
    sharded: dict[str, pl.DataFrame] = {}
    for dataset, (found, rejected) in loaded.items():
        lake.write(REJECTED, rejected, dataset, PROBLEMS.name)
        tell_rejected(context, dataset, rejected)
        shards = [shard_of(problem_id, settings.shards) for problem_id in found["problem_id"]]
        sharded[dataset] = found.with_columns(shard=pl.Series(shards, dtype=pl.String))
    return Frames(
        partitions,
        lambda at: sharded[at.dataset].filter(pl.col("shard") == at.shard).drop("shard"),
    )


def tell_rejected(context: dg.AssetExecutionContext, dataset: str, rejected: pl.DataFrame) -> None:
    """Count a dataset's bad rows, and those of questions that another dataset tests on, apart."""
    from resources.files.problems import TESTED_ELSEWHERE

    num_tested = rejected.filter(pl.col("reason").str.starts_with(TESTED_ELSEWHERE)).height
    tell(
        context,
        dataset,
        rejected_rows=rejected.height - num_tested,
        rows_tested_elsewhere=num_tested,
    )


def tell(context: dg.AssetExecutionContext, dataset: str, **counts: int) -> None:
    """Add what was counted of a dataset's files to the metadata of its partitions."""
    for key in context.partition_keys:
        if Partition.of(key).dataset == dataset:
            context.add_asset_metadata(counts, partition_key=key)
