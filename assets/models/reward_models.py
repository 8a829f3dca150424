"""Train the reward models: the ORM scores a whole solution, the PRM each step."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import dagster as dg
import polars as pl

from assets.deployment import WHOLE_TABLE, DeploymentResource, models_of
from assets.models.fine_tuning import ExamplePlans, fine_tune, model_asset
from shepherd.schemas import LABELED_SOLUTIONS, PROBLEMS
from shepherd.settings import Settings
from shepherd.training_sets import outcome_examples, process_examples


class RewardModelKind(NamedTuple):
    """How a reward model is trained: its trainer and its examples."""

    trainer: Literal["orm", "prm"]
    examples: Callable[..., pl.LazyFrame]
    description: str


KINDS = {
    "outcome_reward_model": RewardModelKind(
        "orm",
        outcome_examples,
        "ORM: the probability that a solution is right (arXiv 2312.08935, eq. 1).",
    ),
    "process_reward_model": RewardModelKind(
        "prm",
        process_examples,
        "PRM: the probability that each step is right (arXiv 2312.08935, eq. 2).",
    ),
}


def reward_models_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of the reward models that a profile has."""
    models = models_of(settings)
    return [reward_model_of(settings, name, kind) for name, kind in KINDS.items() if name in models]


def reward_model_of(settings: Settings, name: str, kind: RewardModelKind) -> dg.AssetsDefinition:
    """Return the asset of one reward model."""
    annotators, chosen, seed = settings.training_annotators, settings.training_set, settings.seed

    @model_asset(
        settings,
        name,
        group="reward_models",
        description=kind.description,
        ins=dict.fromkeys((LABELED_SOLUTIONS.name, PROBLEMS.name), WHOLE_TABLE),
    )
    def trained(
        labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame, deployment: DeploymentResource
    ) -> dg.MaterializeResult[None]:
        labeled = of_train_problems(labeled_solutions, problems)
        plans = ExamplePlans.of(lambda part: kind.examples(labeled, chosen, annotators, part, seed))
        return fine_tune(deployment, name, kind.trainer, plans)

    return trained


def of_train_problems(labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame) -> pl.LazyFrame:
    """Return the labelled solutions of train problems. Imported ones may be of test problems."""
    train = problems.filter(pl.col("split") == "train")
    return labeled_solutions.join(train, on="problem_id", how="semi")
