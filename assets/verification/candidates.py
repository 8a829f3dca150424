import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN_PER_SHARD, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from assets.sampling_runs import keep, open_samplers, shard_of_run
from shepherd.schemas import CANDIDATE_COSTS, CANDIDATES


@table_asset(
    CANDIDATES,
    group="verification",
    kinds={"torch"},
    backfill_policy=ONE_RUN_PER_SHARD,
    pool=GPU_POOL,
    deps=SETTINGS.candidate_generators,
    code_version=version_of(
        *SETTINGS.generators.values(),
        *SETTINGS.candidate_generators,
        SETTINGS.sampling.num_candidates,
        SETTINGS.sampling.temperature,
        SETTINGS.sampling.max_tokens,
        *(dataset.splitting.calculations for dataset in SETTINGS.datasets.values()),
    ),
)
def candidates(
    context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
) -> pl.DataFrame:
    """Test problems solved many times over by generators, for the reward models to choose.

    By policies too, where the profile says so.
    """
    from resources.sampling.solutions import draw_candidates

    shard, sampling = shard_of_run(context, deployment), deployment.settings.sampling
    samplers = open_samplers(deployment, deployment.settings.candidate_generators)
    test = problems.filter(split="test")
    drawn = [draw_candidates(test, sampler, sampling, shard) for sampler in samplers]
    return keep(context, deployment, CANDIDATE_COSTS, drawn)
