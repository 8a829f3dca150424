"""The two reward models: one judges a whole solution, the other each step."""

import dagster as dg
import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, DeploymentResource, version_of
from assets.models.fine_tuning import Plans, fine_tune, model_asset
from shepherd.training_sets import outcome_examples, process_examples

INPUTS = {"labeled_solutions": ALL_PARTITIONS, "problems": ALL_PARTITIONS}
TRUSTED = SETTINGS.training_annotators


@model_asset(
    "outcome_reward_model",
    group="reward_models",
    ins=INPUTS,
    code_version=version_of(
        SETTINGS.seed, SETTINGS.outcome_reward_model, SETTINGS.training_set, *TRUSTED
    ),
)
def outcome_reward_model(
    labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame, deployment: DeploymentResource
) -> dg.MaterializeResult[None]:
    """ORM: the probability that a solution is right, trained on final answers (eq. 1)."""
    chosen, seed = deployment.settings.training_set, deployment.settings.seed
    labeled = of_train_problems(labeled_solutions, problems)
    plans = Plans.of(lambda part: outcome_examples(labeled, chosen, TRUSTED, part, seed))
    return fine_tune(deployment, "outcome_reward_model", "orm", plans)


@model_asset(
    "process_reward_model",
    group="reward_models",
    ins=INPUTS,
    code_version=version_of(
        SETTINGS.seed, SETTINGS.process_reward_model, SETTINGS.training_set, *TRUSTED
    ),
)
def process_reward_model(
    labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame, deployment: DeploymentResource
) -> dg.MaterializeResult[None]:
    """PRM: the probability that each step is right, trained on step labels (eq. 2)."""
    chosen, seed = deployment.settings.training_set, deployment.settings.seed
    labeled = of_train_problems(labeled_solutions, problems)
    plans = Plans.of(lambda part: process_examples(labeled, chosen, TRUSTED, part, seed))
    return fine_tune(deployment, "process_reward_model", "prm", plans)


def of_train_problems(labeled_solutions: pl.LazyFrame, problems: pl.LazyFrame) -> pl.LazyFrame:
    """Return what is labelled of train problems: imported solutions are of test problems."""
    train = problems.filter(pl.col("split") == "train")
    return labeled_solutions.join(train, on="problem_id", how="semi")
