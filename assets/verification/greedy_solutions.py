"""Solve test problems greedily with each generator and policy."""

import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN_PER_SHARD, DeploymentResource
from assets.sampling_runs import open_samplers, shard_of_run
from assets.tables import table_asset
from shepherd.schemas import GREEDY_SOLUTIONS
from shepherd.settings import Settings


def greedy_solutions_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all greedy solutions."""
    models = [*settings.generators, *settings.policies]

    @table_asset(
        settings,
        GREEDY_SOLUTIONS,
        group="verification",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
        deps=models,
    )
    def greedy_solutions(
        context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
    ) -> pl.DataFrame:
        """Test problems solved once by every generator and policy, at temperature 0."""
        from resources.sampling.solutions import draw_greedily

        shard, test = shard_of_run(context, deployment), problems.filter(split="test")
        return pl.concat(
            draw_greedily(test, sampler, settings.sampling, shard, deployment.lake).frame
            for sampler in open_samplers(deployment, models)
        )

    return greedy_solutions
