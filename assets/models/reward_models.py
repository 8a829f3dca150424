"""Train the reward models: the ORM scores a whole solution, the PRM each step."""

import dagster as dg
import polars as pl

from assets.deployment import WHOLE_TABLE, DeploymentResource
from assets.models.fine_tuning import ExamplePlans, fine_tune, model_asset
from shepherd.schemas import LABELED_SOLUTIONS, PROBLEMS
from shepherd.settings import Settings
from shepherd.training_sets import outcome_examples, process_examples

INPUTS = dict.fromkeys((LABELED_SOLUTIONS.name, PROBLEMS.name), WHOLE_TABLE)


def outcome_reward_model_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the ORM."""
    annotators, chosen, seed = settings.training_annotators, settings.training_set, settings.seed

    @model_asset(settings, "outcome_reward_model", group="reward_models", ins=INPUTS)
    def outcome_reward_model(
        labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame, deployment: DeploymentResource
    ) -> dg.MaterializeResult[None]:
        """ORM: the probability that a solution is right (arXiv 2312.08935, eq. 1)."""
        labeled = of_train_problems(labeled_solutions, problems)
        plans = ExamplePlans.of(
            lambda part: outcome_examples(labeled, chosen, annotators, part, seed)
        )
        return fine_tune(deployment, "outcome_reward_model", "orm", plans)

    return outcome_reward_model


def process_reward_model_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the PRM."""
    annotators, chosen, seed = settings.training_annotators, settings.training_set, settings.seed

    @model_asset(settings, "process_reward_model", group="reward_models", ins=INPUTS)
    def process_reward_model(
        labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame, deployment: DeploymentResource
    ) -> dg.MaterializeResult[None]:
        """PRM: the probability that each step is right (arXiv 2312.08935, eq. 2)."""
        labeled = of_train_problems(labeled_solutions, problems)
        plans = ExamplePlans.of(
            lambda part: process_examples(labeled, chosen, annotators, part, seed)
        )
        return fine_tune(deployment, "process_reward_model", "prm", plans)

    return process_reward_model


def of_train_problems(labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame) -> pl.LazyFrame:
    """Return the labelled solutions of train problems. Imported ones may be of test problems."""
    train = problems.filter(pl.col("split") == "train")
    return labeled_solutions.join(train, on="problem_id", how="semi")
