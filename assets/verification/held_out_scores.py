"""Score labelled solutions of problems that were held out from the training of the PRM."""

import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN, DeploymentResource
from assets.tables import table_asset
from assets.verification.scoring import score_held_out
from resources.storage.io_manager import Frames, each
from shepherd.schemas import HELD_OUT_SCORES
from shepherd.settings import Settings
from shepherd.training_sets import held_out_solutions


def held_out_scores_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the scores, for a profile that holds problems out."""

    def chosen(labeled: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
        return held_out_solutions(labeled, problems, settings.training_set, settings.seed)

    @table_asset(
        settings,
        HELD_OUT_SCORES,
        group="verification",
        kinds={"torch"},
        # The model is loaded once, and the solutions of all shards take seconds.
        backfill_policy=ONE_RUN,
        pool=settings.runs.scoring_pool,
        deps=["process_reward_model"],
    )
    def held_out_scores(
        labeled_solutions: Frames, problems: Frames, deployment: DeploymentResource
    ) -> Frames:
        """The PRM's score of each step, beside which labels and truth are known.

        The share of problems is `training_set.validation_share`.
        """
        return score_held_out(deployment, each(chosen, labeled_solutions, problems))

    return held_out_scores
