"""What the judge writes about each solution, for its labels to be read from."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import (
    ONE_RUN_PER_SHARD,
    Deployment,
    DeploymentResource,
    version_of,
)
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from assets.sampling_runs import keep, shard_of_run
from shepherd.schemas import CRITIQUE_COSTS, CRITIQUES
from shepherd.settings import JudgeSettings, ModelSettings

if TYPE_CHECKING:
    from resources.sampling.stage import CompletionModel


def critiques_by(judge: JudgeSettings) -> dg.AssetsDefinition:
    """Return the asset of a judge's critiques."""

    @table_asset(
        CRITIQUES,
        group="annotation",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=GPU_POOL,
        code_version=version_of(
            judge.base, judge.template, judge.num_votes, judge.temperature, judge.max_tokens
        ),
    )
    def critiques(
        context: dg.AssetExecutionContext,
        problems: pl.DataFrame,
        steps: pl.DataFrame,
        deployment: DeploymentResource,
    ) -> pl.DataFrame:
        """Votes of the profile's judge on the first wrong step of each solution."""
        from resources.sampling.critiques import draw_critiques

        shard = shard_of_run(context, deployment)
        steps = steps_to_label(steps, deployment.settings.datasets[shard.dataset])
        drawn = draw_critiques(steps, problems, open_judge(deployment, judge), judge, shard)
        return keep(context, deployment, CRITIQUE_COSTS, [drawn])

    return critiques


def open_judge(deployment: Deployment, judge: JudgeSettings) -> "CompletionModel":
    """Return the judge, ready to be asked on its own engine or else the profile's.

    Raises:
        ValueError: its base is no model, or its template is a chat that the model lacks.
    """
    from resources.sampling.stage import completion_model_of

    model = ModelSettings(base=judge.base, template=judge.template)
    return completion_model_of(
        "judge", model, deployment.judge_base(judge), deployment.judge_engine(judge)
    )
