"""Define the code location: the assets, checks, jobs and resources of a profile."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from assets.annotation.critiques import critiques_of
from assets.annotation.exports import exports_of
from assets.annotation.labeled_solutions import labeled_solutions_of
from assets.annotation.oracle_labels import oracle_labels_of
from assets.annotation.pilot import pilot_of
from assets.annotation.problems import problems_of
from assets.annotation.rollouts import rollouts_of
from assets.annotation.solutions import solutions_of
from assets.annotation.step_labels import annotators_of
from assets.annotation.steps import steps_of
from assets.automation import (
    AssetJob,
    label_new_problems,
    lost_runs,
    paths_of,
    refresh_every_morning,
    run_tags,
)
from assets.checks.quality import quality_checks_of
from assets.checks.structural import structural_checks_of
from assets.deployment import Deployment
from assets.describe import metadata_of, provenance, totals_of
from assets.models.generators import solvers_of
from assets.models.policies import policies_of
from assets.models.reward_models import reward_models_of
from assets.run_processes import recorded_in_process_executor
from assets.verification.candidate_scores import candidate_scores_of
from assets.verification.candidates import candidates_of
from assets.verification.evaluations import evaluations_of
from assets.verification.greedy_solutions import greedy_solutions_of
from assets.verification.held_out_scores import held_out_scores_of
from assets.verification.policy_evaluations import policy_evaluations_of
from assets.warehouse.marts import WAREHOUSE_GROUPS, warehouse_of
from assets.warehouse.report import report_of
from resources.profiles import profile_from_env, settings_from_env
from resources.storage.home import Home
from resources.storage.io_manager import ParquetIOManager
from shepherd.schemas import TABLES, labels_table
from shepherd.settings import Settings


def definitions_of(settings: Settings, home: Home, profile: str = "") -> dg.Definitions:
    """Return all definitions of a profile, over a home folder.

    ``profile`` is the name of the profile, for the title of the report.

    Raises:
        ValueError: a generator or policy has the name of another asset.
    """
    assets = assets_of(settings)
    jobs = jobs_of(assets, settings)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks_of(assets, settings),
        jobs=list(jobs.values()),
        sensors=sensors_of(jobs, settings),
        schedules=[refresh_every_morning(jobs["refresh_warehouse"])],
        resources=resources_of(Deployment(settings, home, profile)),
        executor=recorded_in_process_executor,
    )


def assets_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of a profile.

    If all datasets import solutions of their test problems, nothing is sampled, labelled or
    trained. If all datasets import labels, nothing is sampled. Without test problems, or
    generators that solve them, nothing is verified.

    Raises:
        ValueError: a generator or policy has the name of another asset.
    """
    assets = [problems_of(settings), solutions_of(settings), steps_of(settings)]
    datasets = settings.datasets.values()
    if any(dataset.is_annotated for dataset in datasets):
        assets += sampled_assets_of(settings)
    elif any(dataset.labels for dataset in datasets):
        assets += [labeled_solutions_of(settings), *reward_models_of(settings)]
    if settings.exports:
        assets += [exports_of(settings)]
    assets += [warehouse_of(names_of(assets)), report_of(settings)]
    names = names_of(assets)
    for section in ("generators", "policies"):
        for name in getattr(settings, section):
            if names.count(name) > 1:
                raise ValueError(f"{section}.{name}: an asset has this name: choose another")
    return assets


def names_of(assets: list[dg.AssetsDefinition]) -> list[str]:
    """Return the name of each output of assets; a name may repeat."""
    return [key.to_user_string() for asset in assets for key in asset.keys]


def sampled_assets_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets that follow from sampling: models, rollouts, labels, verification."""
    annotation = settings.annotation
    assets = [*solvers_of(settings), rollouts_of(settings)]
    if annotation.pilot is not None:
        assets += pilot_of(settings, annotation.pilot)
    if annotation.judge is not None:
        assets += [critiques_of(settings, annotation.judge)]
    assets += [*annotators_of(settings), labeled_solutions_of(settings)]
    if any(dataset.source == "word_problems" for dataset in settings.datasets.values()):
        assets += [oracle_labels_of(settings)]
    assets += reward_models_of(settings)
    if settings.policies:
        assets += [*policies_of(settings), greedy_solutions_of(settings)]
        assets += [policy_evaluations_of(settings)]
    if settings.scores_held_out:
        assets += [held_out_scores_of(settings)]
    if settings.verifies:
        assets += [candidates_of(settings), candidate_scores_of(settings)]
        assets += [evaluations_of(settings)]
    return assets


JOB_GROUPS = {
    "annotate": ("problems", "annotation"),
    "train": ("models", "reward_models"),
    "reinforce": ("policies",),
    "verify": ("verification",),
    "refresh_warehouse": WAREHOUSE_GROUPS,
}
"""The groups of assets that each job materializes."""

JOB_DESCRIPTIONS = {
    "annotate": "Reads the problems, samples and splits solutions, draws rollouts and labels each "
    "step. Partitioned: choose datasets and shards. The models must be trained before.",
    "train": "Trains generators and completer on gold solutions, and reward models on step labels.",
    "reinforce": "Trains the policies of the profile by RFT, PPO or GRPO.",
    "verify": "Draws candidates of test problems, scores them with the reward models and chooses "
    "the best of N.",
    "refresh_warehouse": "Builds the DuckDB warehouse from the lake, runs its tests and writes the "
    "report. It takes seconds.",
}
"""What each job does, for the UI."""


def jobs_of(assets: list[dg.AssetsDefinition], settings: Settings) -> dict[str, AssetJob]:
    """Return the jobs of which all groups exist, by name."""
    groups = {group for asset in assets for group in asset.group_names_by_key.values()}
    return {
        name: dg.define_asset_job(
            name,
            selection=dg.AssetSelection.groups(*parts),
            description=JOB_DESCRIPTIONS[name],
            tags=run_tags(settings),
        )
        for name, parts in JOB_GROUPS.items()
        if groups.issuperset(parts)
    }


def sensors_of(jobs: Mapping[str, AssetJob], settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensors of lost runs and, if an annotated dataset reads files, of new files."""
    reads_files = any(
        paths_of(dataset) and dataset.is_annotated for dataset in settings.datasets.values()
    )
    has_files = reads_files and "annotate" in jobs
    return [lost_runs, *([label_new_problems(jobs["annotate"])] if has_files else [])]


def checks_of(
    assets: list[dg.AssetsDefinition], settings: Settings
) -> list[dg.AssetChecksDefinition]:
    """Return the checks of which every asset exists."""
    keys = {key for asset in assets for key in asset.keys}
    return [
        check
        for check in (*structural_checks_of(settings), *quality_checks_of(settings))
        if keys.issuperset(check.keys_by_input_name.values())
        and keys.issuperset(key.asset_key for key in check.check_keys)
    ]


def resources_of(deployment: Deployment) -> dict[str, object]:
    """Return the resources of the assets."""
    settings = deployment.settings
    labels = map(labels_table, settings.annotation.names)
    return {
        "deployment": deployment,
        "io_manager": ParquetIOManager(
            deployment.lake,
            TABLES | {table.name: table for table in labels},
            lambda table, rows: {**metadata_of(table, rows), **provenance(settings, table.name)},
            totals=totals_of,
            origin=deployment.origin,
            after_write=deployment.discard_journals,
        ),
    }


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the profile and home that the environment names.

    Dagster calls this function when it loads the code location. No other part of ``assets``
    reads the environment.
    """
    return definitions_of(settings_from_env(), Home.from_env(), Path(profile_from_env()).stem)
