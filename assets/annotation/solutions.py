"""Sample solutions of train problems, or import them where the profile names a file."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.annotation.sharding import count_rejected, rejected_by_shard
from assets.deployment import ONE_RUN_PER_SHARD, Deployment, DeploymentResource
from assets.sampling_runs import draws_and_costs, open_samplers, shard_of_run
from assets.tables import table_asset
from resources.storage.io_manager import Partition
from shepherd.schemas import REJECTED_SOLUTIONS, SOLUTION_COSTS, SOLUTIONS
from shepherd.settings import Settings


def solutions_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all solutions, with their costs and the rejected input rows."""
    generators = settings.generators_of("train")

    @table_asset(
        settings,
        SOLUTIONS,
        siblings=[SOLUTION_COSTS, REJECTED_SOLUTIONS],
        group="annotation",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
        deps=generators,
    )
    def solutions(
        context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
    ) -> Mapping[str, pl.DataFrame]:
        """Solutions of train problems by generators; or imported, where the profile names a file.

        A dataset that is not annotated has none, unless they are imported. Input rows that cannot
        be used are in `rejected_solutions`.
        """
        partition = Partition.of(context.partition_key)
        dataset = settings.datasets[partition.dataset]
        if dataset.solutions is not None:
            return imported_solutions(context, settings, partition, problems)
        if not dataset.is_annotated:
            return {}
        return sampled_solutions(context, deployment, problems)

    return solutions


def imported_solutions(
    context: dg.AssetExecutionContext,
    settings: Settings,
    partition: Partition,
    problems: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    """Read a dataset's file of solutions; return those of a shard's problems.

    Raises:
        ValueError: the file cannot be read or too many of its rows are bad; nothing is written.
    """
    from resources.files.imported_solutions import load_solutions
    from resources.files.problems import questions_tested_elsewhere

    name, datasets = partition.dataset, settings.datasets
    elsewhere = questions_tested_elsewhere(datasets, name)
    imported, rejected = load_solutions(name, datasets[name], problems, elsewhere)
    count_rejected(context, SOLUTIONS, name, rejected)
    shards = rejected_by_shard(rejected, settings.shards)
    return {SOLUTIONS.name: imported, REJECTED_SOLUTIONS.name: shards[partition.shard]}


def sampled_solutions(
    context: dg.AssetExecutionContext, deployment: Deployment, problems: pl.DataFrame
) -> Mapping[str, pl.DataFrame]:
    """Draw solutions of the train problems of a shard with each generator."""
    from resources.sampling.solutions import draw_solutions

    settings, lake = deployment.settings, deployment.lake
    shard, train = shard_of_run(context, deployment), problems.filter(split="train")
    samplers = open_samplers(deployment, settings.generators_of("train"))
    draws = [draw_solutions(train, sampler, settings.sampling, shard, lake) for sampler in samplers]
    return draws_and_costs(context, SOLUTIONS, SOLUTION_COSTS, draws)
