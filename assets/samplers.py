"""The models that write solutions: the profile's generators, and the completer of rollouts."""

import dagster as dg
import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, DeploymentResource, version_of
from assets.fine_tuning import fine_tune, model_asset
from shepherd.settings import ModelSettings, Settings


def sampler(name: str, what: str, settings: ModelSettings) -> dg.AssetsDefinition:
    """Return the asset of a model that is fine-tuned on the gold solutions of train problems."""

    @model_asset(
        name,
        group="models",
        description=f"{what}: {settings.base}, fine-tuned on gold solutions of train problems.",
        ins={"problems": ALL_PARTITIONS},
        code_version=version_of(SETTINGS.seed, settings),
    )
    def model(problems: pl.DataFrame, deployment: DeploymentResource) -> dg.MaterializeResult[None]:
        from training.sft import train_sft

        gold = gold_examples(problems, settings.num_problems)
        return fine_tune(deployment, name, train_sft, gold)

    return model


def gold_examples(problems: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """Return (question, solution) of train problems, the first ``limit`` in order of their ids.

    Ids are hashes, so that these are drawn at random, and the same on every machine.
    """
    gold = problems.filter(pl.col("split") == "train", pl.col("gold_solution").is_not_null())
    return (
        gold.sort("problem_id")
        .head(gold.height if limit is None else limit)
        .select("question", solution="gold_solution")
    )


def samplers_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of all models of a profile that write solutions."""
    generators = [
        sampler(name, "A generator of solutions", model)
        for name, model in settings.generators.items()
    ]
    assert settings.completer is not None, "a profile that samples names its completer"
    return [*generators, sampler("completer", "The completer of rollouts", settings.completer)]
