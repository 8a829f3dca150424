"""Score candidates with the reward models."""

import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN_PER_SHARD, DeploymentResource, models_of
from assets.tables import table_asset
from assets.verification.scoring import REWARD_MODELS, score_candidates
from shepherd.schemas import CANDIDATE_SCORES
from shepherd.settings import Settings


def candidate_scores_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all scores."""

    @table_asset(
        settings,
        CANDIDATE_SCORES,
        group="verification",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.scoring_pool,
        deps=sorted(REWARD_MODELS.keys() & models_of(settings).keys()),
    )
    def candidate_scores(
        candidates: pl.DataFrame, problems: pl.DataFrame, deployment: DeploymentResource
    ) -> pl.DataFrame:
        """Scores of candidates: one a step by the PRM, one a solution by the ORM."""
        return score_candidates(deployment, candidates, problems)

    return candidate_scores
