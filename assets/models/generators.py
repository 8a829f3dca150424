"""Fine-tune the models that write solutions: the generators, and the completer of rollouts."""

from dataclasses import replace

import dagster as dg
import polars as pl

from assets.deployment import WHOLE_TABLE, DeploymentResource
from assets.models.fine_tuning import ExamplePlans, fine_tune, model_asset
from shepherd.settings import ModelSettings, Settings
from shepherd.training_sets import sft_examples


def solvers_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of all generators and of the completer."""
    assert settings.completer is not None, "a profile that samples has a completer"
    generators = [
        solver_of(settings, name, "A generator of solutions", model)
        for name, model in settings.generators.items()
    ]
    completer = solver_of(settings, "completer", "The completer of rollouts", settings.completer)
    return [*generators, completer]


def solver_of(
    settings: Settings, name: str, role: str, model: ModelSettings
) -> dg.AssetsDefinition:
    """Return the asset of a model that is fine-tuned on the gold solutions of train problems."""

    @model_asset(
        settings,
        name,
        group="models",
        description=f"{role}: {model.base}, fine-tuned on gold solutions of train problems.",
        ins={"problems": WHOLE_TABLE},
    )
    def fine_tuned(
        problems: pl.LazyFrame, deployment: DeploymentResource
    ) -> dg.MaterializeResult[None]:
        return fine_tune(deployment, name, "sft", gold_of(problems, model, settings))

    return fine_tuned


def gold_of(problems: pl.LazyFrame, model: ModelSettings, settings: Settings) -> ExamplePlans:
    """Return the gold solutions that a model is trained on: (problem_id, question, solution)."""
    if model.datasets is not None:
        problems = problems.filter(pl.col("dataset").is_in(model.datasets))
    plans = ExamplePlans.of(
        lambda part: sft_examples(problems, settings.training_set, part, settings.seed)
    )
    return first_problems(plans, model.num_problems)


def first_problems(plans: ExamplePlans, limit: int | None) -> ExamplePlans:
    """Keep the ``limit`` problems with the smallest ids to train on, or all if it is null.

    Ids are hashes, so this is a random choice, and the same on every machine.
    """
    if limit is None:
        return plans
    return replace(plans, train=plans.train.sort("problem_id").head(limit))
