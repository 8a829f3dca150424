"""Bring the assets of a profile up to date, as a sequence of Dagster runs in this process."""

import difflib
import sys
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.automation import run_tags
from assets.definitions import definitions_of
from assets.deployment import Deployment, models_of, partitions_of
from cli.next_steps import print_next_steps
from cli.progress import MakeAgain, Progress
from cli.runs_database import opened_instance
from cli.stages import Failure, run_stages
from cli.summary import print_summary
from resources.storage.home import Home
from resources.storage.lake import Lake
from shepherd.annotators.nli import NliSettings
from shepherd.messages import one_line
from shepherd.settings import Settings


def run_pipeline(
    settings: Settings,
    home: Home,
    assets: Sequence[str] = (),
    partitions: Sequence[str] = (),
    *,
    profile: str = "",
) -> int:
    """Bring every asset up to date and print a summary; return the exit code.

    With ``assets``, only those are made: in ``partitions`` or in all, up to date or not.
    ``profile`` is the name or path of the profile, for the title of the report and the commands
    that go on from here. The exit code is 0; or 2 if the user can correct what failed; or 1 if a
    part failed, or the lake holds stray files.

    Raises:
        ValueError: the settings name a base that does not exist, another number of shards than
            the lake has, or lack a named asset or partition; nothing was run. Or Dagster's
            databases cannot be used.
    """
    started, deployment = time.monotonic(), Deployment(settings, home, Path(profile).stem)
    with planned(deployment, assets, partitions) as plan:
        tags = run_tags(settings)
        failures = run_stages(plan.definitions, plan.instance, plan.progress, plan.keys, tags)
    if failures:
        return print_failures(failures)
    if not assets:
        print_summary(deployment, time.monotonic() - started)
        print_next_steps(deployment, profile)
    return int(print_strays(deployment.lake))


@dataclass(frozen=True)
class Plan:
    """Which assets may be made, and what decides whether they are made again."""

    definitions: dg.Definitions
    keys: Set[dg.AssetKey]
    instance: dg.DagsterInstance
    progress: Progress


@contextmanager
def planned(
    deployment: Deployment, assets: Sequence[str], partitions: Sequence[str]
) -> Iterator[Plan]:
    """Check a deployment, open Dagster's databases, and say what an earlier version has made.

    With ``assets``, only those are made: in ``partitions`` or in all, up to date or not.

    Raises:
        ValueError: as :func:`run_pipeline`.
    """
    settings, home = deployment.settings, deployment.home
    check_deployment(deployment)
    definitions = definitions_of(settings, home, deployment.profile)
    keys = named_keys(definitions, settings, assets, partitions)
    with opened_instance(home, settings.runs) as instance:
        if assets:
            progress: Progress = MakeAgain(instance, definitions, partitions)
        else:
            progress = Progress(instance, definitions)
            print_earlier_versions(progress)
        yield Plan(definitions, keys, instance, progress)


def check_deployment(deployment: Deployment) -> None:
    """Check what can be checked before the first run.

    Raises:
        ValueError: a base does not exist, or the lake has another number of shards.
    """
    settings = deployment.settings
    deployment.lake.check_shards(settings)
    for name in models_of(settings):
        deployment.base(name)
    annotation = settings.annotation
    for annotator in annotation.annotators:
        if isinstance(annotator, NliSettings):
            if annotator.language_model is None:
                deployment.models.resolve(annotator.model)
            else:
                deployment.judge_base(annotator.language_model)
    if annotation.judge is not None:
        deployment.judge_base(annotation.judge)


def named_keys(
    definitions: dg.Definitions,
    settings: Settings,
    assets: Sequence[str],
    partitions: Sequence[str],
) -> Set[dg.AssetKey]:
    """Return the named assets and those made by the same functions; all if none is named.

    Raises:
        ValueError: the profile has no such asset or partition; the message names similar ones.
    """
    graph = definitions.resolve_asset_graph()
    keys = {key.to_user_string(): key for key in graph.toposorted_asset_keys}
    _refuse_unknown("--assets", assets, list(keys))
    _refuse_unknown("--partitions", partitions, partitions_of(settings).get_partition_keys())
    if not assets:
        return set(keys.values())
    return {made for name in assets for made in graph.get(keys[name]).execution_set_asset_keys}


def print_earlier_versions(progress: Progress) -> None:
    """Print in one line what is made again because an earlier version of the pipeline made it."""
    groups = progress.of_earlier_versions()
    if groups:
        names = "; ".join(f"{group}: {', '.join(assets)}" for group, assets in groups.items())
        print(
            "This home was written by an earlier version of the pipeline, whose settings are not "
            f"known. Drawn, trained and made again: {names}",
            flush=True,
        )


def print_strays(lake: Lake) -> bool:
    """Print one line for each stray file of the lake; return whether there is one."""
    strays = lake.strays()
    for path in strays:
        print(
            f"error: {path}: is no shard of a dataset, and was not read: move it aside; if other "
            "files of its dataset are named as well, restore shards.json",
            file=sys.stderr,
        )
    return bool(strays)


def print_failures(failures: Sequence[Failure]) -> int:
    """Print failures, one line each where the user can correct it; return the exit code."""
    for failure in failures:
        message = one_line(failure.message) if failure.is_users else failure.message
        print(f"error: {failure.step} ({failure.run.where}): {message}", file=sys.stderr)
    if all(failure.is_users for failure in failures):
        return 2
    print(
        "Finished work is kept: the same command resumes from there. Logs: shepherd ui.",
        file=sys.stderr,
    )
    return 1


def _refuse_unknown(option: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            alike = difflib.get_close_matches(name, known) or sorted(known)
            raise ValueError(f"{option} {name}: the profile has none: it has {', '.join(alike)}")
