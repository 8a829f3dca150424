"""The models that write solutions: the profile's generators, and the completer of rollouts."""

from dataclasses import replace

import dagster as dg
import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, DeploymentResource, version_of
from assets.models.fine_tuning import Plans, fine_tune, model_asset
from shepherd.settings import ModelSettings, Settings
from shepherd.training_sets import sft_examples


def sampler(name: str, what: str, settings: ModelSettings) -> dg.AssetsDefinition:
    """Return the asset of a model that is fine-tuned on the gold solutions of train problems."""

    @model_asset(
        name,
        group="models",
        description=f"{what}: {settings.base}, fine-tuned on gold solutions of train problems.",
        ins={"problems": ALL_PARTITIONS},
        code_version=version_of(SETTINGS.seed, settings, SETTINGS.training_set),
    )
    def model(problems: pl.LazyFrame, deployment: DeploymentResource) -> dg.MaterializeResult[None]:
        return fine_tune(deployment, name, "sft", gold_of(problems, settings, deployment.settings))

    return model


def gold_of(problems: pl.LazyFrame, model: ModelSettings, settings: Settings) -> Plans:
    """Return the gold solutions that a model learns from: (problem_id, question, solution)."""
    if model.datasets is not None:
        problems = problems.filter(pl.col("dataset").is_in(model.datasets))
    plans = Plans.of(
        lambda part: sft_examples(problems, settings.training_set, part, settings.seed)
    )
    return first_problems(plans, model.num_problems)


def first_problems(plans: Plans, limit: int | None) -> Plans:
    """Keep the first ``limit`` problems to train on, in order of their ids.

    Ids are hashes, so that these are drawn at random, and the same on every machine.
    """
    if limit is None:
        return plans
    return replace(plans, train=plans.train.sort("problem_id").head(limit))


def samplers_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of all models of a profile that write solutions."""
    generators = [
        sampler(name, "A generator of solutions", model)
        for name, model in settings.generators.items()
    ]
    assert settings.completer is not None, "a profile that samples names its completer"
    return [*generators, sampler("completer", "The completer of rollouts", settings.completer)]
