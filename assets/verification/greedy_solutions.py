import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN_PER_SHARD, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from assets.sampling_runs import open_samplers, shard_of_run
from shepherd.schemas import GREEDY_SOLUTIONS


@table_asset(
    GREEDY_SOLUTIONS,
    group="verification",
    kinds={"torch"},
    backfill_policy=ONE_RUN_PER_SHARD,
    pool=GPU_POOL,
    deps=[*SETTINGS.generators, *SETTINGS.policies],
    code_version=version_of(
        SETTINGS.sampling.max_tokens,
        *SETTINGS.generators,
        *SETTINGS.policies,
        # Texts lose their calculations before they are kept, and are cut to count their steps.
        *(dataset.splitting for dataset in SETTINGS.datasets.values()),
    ),
)
def greedy_solutions(
    context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
) -> pl.DataFrame:
    """Test problems solved once by every generator and every policy, at temperature 0."""
    from resources.sampling.solutions import draw_greedily

    settings = deployment.settings
    shard, test = shard_of_run(context, deployment), problems.filter(split="test")
    samplers = open_samplers(deployment, [*settings.generators, *settings.policies])
    return pl.concat(
        draw_greedily(test, sampler, settings.sampling, shard).frame for sampler in samplers
    )
