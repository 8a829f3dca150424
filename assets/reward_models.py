"""The two reward models: one judges a whole solution, the other each step."""

import dagster as dg
import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, DeploymentResource, version_of
from assets.fine_tuning import fine_tune, model_asset

TRAINING_ANNOTATORS = sorted({SETTINGS.annotation.train_on, *SETTINGS.published_annotators})

INPUTS = {"labeled_solutions": ALL_PARTITIONS, "problems": ALL_PARTITIONS}


@model_asset(
    "outcome_reward_model",
    group="reward_models",
    ins=INPUTS,
    code_version=version_of(SETTINGS.seed, SETTINGS.outcome_reward_model, *TRAINING_ANNOTATORS),
)
def outcome_reward_model(
    labeled_solutions: pl.DataFrame, problems: pl.DataFrame, deployment: DeploymentResource
) -> dg.MaterializeResult[None]:
    """ORM: the probability that a solution is right, trained on final answers (eq. 1)."""
    from training.orm import train_orm

    examples = training_examples(labeled_solutions, problems)
    return fine_tune(deployment, "outcome_reward_model", train_orm, examples)


@model_asset(
    "process_reward_model",
    group="reward_models",
    ins=INPUTS,
    code_version=version_of(SETTINGS.seed, SETTINGS.process_reward_model, *TRAINING_ANNOTATORS),
)
def process_reward_model(
    labeled_solutions: pl.DataFrame, problems: pl.DataFrame, deployment: DeploymentResource
) -> dg.MaterializeResult[None]:
    """PRM: the probability that each step is right, trained on step labels (eq. 2)."""
    from training.prm import train_prm

    examples = training_examples(labeled_solutions, problems)
    return fine_tune(deployment, "process_reward_model", train_prm, examples)


def training_examples(labeled_solutions: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """Return whom the profile trusts on train problems: imported solutions are of test problems."""
    train = problems.filter(pl.col("split") == "train")
    return labeled_solutions.filter(pl.col("annotator").is_in(TRAINING_ANNOTATORS)).join(
        train, on="problem_id", how="semi"
    )
