import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from resources.io_managers import Frames, Partition
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

    Rows that cannot be read are set aside in the lake table `rejected`.
    """
    from resources.problems import load_problems

    settings, lake = deployment.settings, deployment.lake
    lake.check_shards(settings)
    partitions = tuple(Partition.of(key) for key in sorted(context.partition_keys))
    sharded: dict[str, pl.DataFrame] = {}
    for dataset in sorted({partition.dataset for partition in partitions}):
        loaded, rejected = load_problems(dataset, settings.datasets[dataset], settings.seed)
        lake.write(REJECTED, rejected, dataset, PROBLEMS.name)
        tell_rejected(context, dataset, rejected.height)
        shards = [shard_of(problem_id, settings.shards) for problem_id in loaded["problem_id"]]
        sharded[dataset] = loaded.with_columns(shard=pl.Series(shards, dtype=pl.String))
    return Frames(
        partitions,
        lambda at: sharded[at.dataset].filter(pl.col("shard") == at.shard).drop("shard"),
    )


def tell_rejected(context: dg.AssetExecutionContext, dataset: str, num_rejected: int) -> None:
    """Add the rows of a dataset that were set aside to the metadata of its partitions."""
    for key in context.partition_keys:
        if Partition.of(key).dataset == dataset:
            context.add_asset_metadata({"rejected_rows": num_rejected}, partition_key=key)
