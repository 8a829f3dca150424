"""Label steps by asking a language model which steps follow from others."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.annotation.critiques import open_judge
from assets.annotation.steps import steps_to_label
from assets.deployment import ONE_RUN_PER_SHARD, DeploymentResource
from assets.sampling_runs import draws_and_costs, shard_of_run
from assets.tables import table_asset
from shepherd.annotators.annotator import LabelInputs
from shepherd.annotators.entailment import EntailmentSettings
from shepherd.annotators.nli import NliSettings
from shepherd.schemas import ENTAILMENT_COSTS, labels_table
from shepherd.settings import Settings


def asked_labels_of(
    settings: Settings, nli: NliSettings, asked: EntailmentSettings
) -> dg.AssetsDefinition:
    """Return the asset of the labels of ``nli`` and of what its language model drew."""
    table = labels_table(nli.kind)

    @table_asset(
        settings,
        table,
        siblings=[ENTAILMENT_COSTS],
        group="annotation",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
    )
    def labels(
        context: dg.AssetExecutionContext,
        steps: pl.DataFrame,
        solutions: pl.DataFrame,
        problems: pl.DataFrame,
        deployment: DeploymentResource,
    ) -> Mapping[str, pl.DataFrame]:
        """Hard and soft labels by this annotator alone. `step_labels` joins those of all."""
        from resources.sampling.entailments import EntailmentQuestions, entailment_stage

        shard = shard_of_run(context, deployment)
        stage = entailment_stage(open_judge(deployment, asked, nli.kind), asked, shard)
        questions = EntailmentQuestions(stage, asked.num_votes)
        dataset = settings.datasets[shard.dataset]
        inputs = LabelInputs(
            steps_to_label(steps, dataset),
            solutions,
            problems,
            entails=questions,
            method=dataset.splitting.rule,
        )
        drawn = stage.output(nli.label_steps(inputs), questions.cost)
        return draws_and_costs(context, table, ENTAILMENT_COSTS, [drawn])

    return labels
