"""Draw candidates: many solutions of each test problem."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN_PER_SHARD, DeploymentResource
from assets.sampling_runs import draws_and_costs, open_samplers, shard_of_run
from assets.tables import table_asset
from shepherd.schemas import CANDIDATE_COSTS, CANDIDATES
from shepherd.settings import Settings


def candidates_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all candidates and their costs."""

    @table_asset(
        settings,
        CANDIDATES,
        siblings=[CANDIDATE_COSTS],
        group="verification",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
        deps=settings.candidate_generators,
    )
    def candidates(
        context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
    ) -> Mapping[str, pl.DataFrame]:
        """Many solutions of each test problem by generators, among which reward models choose.

        Policies with `candidates: true` draw them too.
        """
        from resources.sampling.solutions import draw_candidates

        shard, test = shard_of_run(context, deployment), problems.filter(split="test")
        samplers = open_samplers(deployment, settings.candidate_generators)
        draws = [
            draw_candidates(test, sampler, settings.sampling, shard, deployment.lake)
            for sampler in samplers
        ]
        return draws_and_costs(context, CANDIDATES, CANDIDATE_COSTS, draws)

    return candidates
