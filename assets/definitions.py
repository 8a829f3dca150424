"""The code location: what of the pipeline exists under the profile, its jobs and its resources."""

from typing import Any

import dagster as dg

from assets.annotation.critiques import critiques_by
from assets.annotation.exports import exports
from assets.annotation.labeled_solutions import labeled_solutions_of
from assets.annotation.oracle_labels import oracle_labels
from assets.annotation.problems import problems
from assets.annotation.rollouts import rollouts
from assets.annotation.solutions import solutions
from assets.annotation.step_labels import labels_of
from assets.annotation.steps import steps
from assets.automation import label_new_problems, paths_of, refresh_every_morning, run_tags
from assets.checks.quality import QUALITY_CHECKS
from assets.checks.structural import STRUCTURAL_CHECKS
from assets.deployment import SETTINGS, Deployment
from assets.describe import describe
from assets.models.generators import samplers_of
from assets.models.policies import policies_of
from assets.models.reward_models import outcome_reward_model, process_reward_model
from assets.verification.candidate_scores import candidate_scores
from assets.verification.candidates import candidates
from assets.verification.evaluations import evaluations
from assets.verification.greedy_solutions import greedy_solutions
from assets.verification.policy_evaluations import policy_evaluations
from assets.warehouse.marts import warehouse_of
from assets.warehouse.report import report
from resources.storage.home import Home
from resources.storage.io_manager import ParquetIOManager
from shepherd.schemas import TABLES, labels_table
from shepherd.settings import Settings


def assets_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets that a profile has.

    Where every dataset imports solutions of its test problems, nothing is sampled, labelled or
    trained. Where every dataset imports labels, nothing is sampled.

    Raises:
        ValueError: a generator or policy has the name of another asset.
    """
    chosen = [problems, solutions, steps]
    datasets = settings.datasets.values()
    if any(dataset.is_annotated for dataset in datasets):
        chosen += sampled_assets_of(settings)
    elif any(dataset.labels for dataset in datasets):
        chosen += [labeled_solutions_of(settings), *reward_models_of(settings)]
    if settings.exports:
        chosen += [exports]
    names = [key.to_user_string() for asset in chosen for key in asset.keys]
    warehouse = warehouse_of(names)
    chosen += [warehouse, report]
    names = [key.to_user_string() for asset in chosen for key in asset.keys]
    for section in ("generators", "policies"):
        for name in getattr(settings, section):
            if names.count(name) > 1:
                raise ValueError(f"{section}.{name}: an asset has this name: choose another")
    return chosen


def sampled_assets_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return what follows from sampling: models, rollouts, labels, verification."""
    annotation = settings.annotation
    chosen = [*samplers_of(settings), rollouts]
    if annotation.judge is not None:
        chosen += [critiques_by(annotation.judge)]
    chosen += [*labels_of(settings), labeled_solutions_of(settings)]
    if any(dataset.source == "word_problems" for dataset in settings.datasets.values()):
        chosen += [oracle_labels]
    chosen += reward_models_of(settings)
    if settings.policies:
        chosen += [*policies_of(settings), greedy_solutions, policy_evaluations]
    return [*chosen, candidates, candidate_scores, evaluations]


def reward_models_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the reward models that a profile names."""
    chosen = []
    if settings.outcome_reward_model:
        chosen += [outcome_reward_model]
    if settings.process_reward_model:
        chosen += [process_reward_model]
    return chosen


def jobs_of(assets: list[dg.AssetsDefinition], settings: Settings) -> dict[str, Any]:
    """Return the jobs whose groups exist, by name."""
    groups = {group for asset in assets for group in asset.group_names_by_key.values()}
    wanted = {
        "annotate": ("problems", "annotation"),
        "train": ("models", "reward_models"),
        "reinforce": ("policies",),
        "verify": ("verification",),
        "refresh_warehouse": ("warehouse",),
    }
    return {
        name: dg.define_asset_job(
            name, selection=dg.AssetSelection.groups(*parts), tags=run_tags(settings)
        )
        for name, parts in wanted.items()
        if groups.issuperset(parts)
    }


def sensors_of(jobs: dict[str, Any], settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensor of new problem files, where a dataset that is annotated reads files."""
    reads_files = any(
        paths_of(dataset) and dataset.is_annotated for dataset in settings.datasets.values()
    )
    return [label_new_problems(jobs["annotate"])] if reads_files and "annotate" in jobs else []


def checks_of(assets: list[dg.AssetsDefinition]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of which every asset exists."""
    keys = {key for asset in assets for key in asset.keys}
    return [
        check
        for check in (*STRUCTURAL_CHECKS, *QUALITY_CHECKS)
        if keys.issuperset(check.keys_by_input_name.values())
        and keys.issuperset(key.asset_key for key in check.check_keys)
    ]


def resources_of(deployment: Deployment) -> dict[str, Any]:
    """Return the resources that the assets ask for."""
    labels = map(labels_table, deployment.settings.annotation.names)
    return {
        "deployment": deployment,
        "io_manager": ParquetIOManager(
            deployment.lake,
            TABLES | {table.name: table for table in labels},
            describe,
            origin=deployment.origin,
            after_write=deployment.discard_journals,
        ),
    }


ASSETS = assets_of(SETTINGS)
JOBS = jobs_of(ASSETS, SETTINGS)

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=checks_of(ASSETS),
    jobs=list(JOBS.values()),
    sensors=sensors_of(JOBS, SETTINGS),
    schedules=[refresh_every_morning(JOBS["refresh_warehouse"])],
    resources=resources_of(Deployment(SETTINGS, Home.from_env())),
    executor=dg.in_process_executor,
)
