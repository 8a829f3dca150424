import polars as pl

from assets.deployment import (
    ONE_RUN_PER_SHARD,
    SETTINGS,
    DeploymentResource,
    models_of,
    version_of,
)
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from assets.verification.scoring import REWARD_MODELS, score_candidates
from shepherd.schemas import CANDIDATE_SCORES

MODELS = {name: model for name, model in models_of(SETTINGS).items() if name in REWARD_MODELS}


@table_asset(
    CANDIDATE_SCORES,
    group="verification",
    kinds={"torch"},
    backfill_policy=ONE_RUN_PER_SHARD,
    pool=GPU_POOL,
    deps=sorted(MODELS),
    code_version=version_of(
        *MODELS.values(),
        *(dataset.splitting.method for dataset in SETTINGS.datasets.values()),
    ),
)
def candidate_scores(
    candidates: pl.DataFrame, problems: pl.DataFrame, deployment: DeploymentResource
) -> pl.DataFrame:
    """What each reward model thinks of each candidate: of every step, or of the whole."""
    return score_candidates(deployment, candidates, problems)
