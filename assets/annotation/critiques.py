"""Ask a judge for critiques of solutions, from which its step labels are read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import ONE_RUN_PER_SHARD, Deployment, DeploymentResource
from assets.sampling_runs import draws_and_costs, shard_of_run
from assets.tables import table_asset
from shepherd.annotators.entailment import EntailmentSettings
from shepherd.schemas import CRITIQUE_COSTS, CRITIQUES
from shepherd.settings import JudgeSettings, ModelSettings, Settings

if TYPE_CHECKING:
    from resources.sampling.stage import CompletionModel


def critiques_of(settings: Settings, judge: JudgeSettings) -> dg.AssetsDefinition:
    """Return the asset of a judge's critiques and their costs."""

    @table_asset(
        settings,
        CRITIQUES,
        siblings=[CRITIQUE_COSTS],
        group="annotation",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
    )
    def critiques(
        context: dg.AssetExecutionContext,
        problems: pl.DataFrame,
        steps: pl.DataFrame,
        deployment: DeploymentResource,
    ) -> Mapping[str, pl.DataFrame]:
        """Votes of a judge, a language model, on the first wrong step of each solution."""
        from resources.sampling.critiques import draw_critiques

        shard = shard_of_run(context, deployment)
        labelled = steps_to_label(steps, settings.datasets[shard.dataset])
        draws = draw_critiques(labelled, problems, open_judge(deployment, judge), judge, shard)
        return draws_and_costs(context, CRITIQUES, CRITIQUE_COSTS, [draws])

    return critiques


def open_judge(
    deployment: Deployment, judge: JudgeSettings | EntailmentSettings, name: str = "judge"
) -> "CompletionModel":
    """Return a judge or nli's model, on its own engine or the engine of the profile.

    Raises:
        ValueError: the base is no model, or the template is a chat template that it lacks.
    """
    from resources.sampling.stage import completion_model_of

    model = ModelSettings(base=judge.base, template=judge.template)
    return completion_model_of(
        name,
        model,
        deployment.judge_base(judge),
        deployment.judge_engine(judge),
        log=deployment.home.engine_log,
    )
