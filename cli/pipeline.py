"""The pipeline as a sequence of Dagster runs in this process: what is pending, run, told."""

import difflib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from assets.definitions import defs
from assets.deployment import PARTITIONS, SETTINGS, Deployment, models_of
from cli.progress import Progress
from cli.summary import print_summary
from resources.storage.home import Home
from shepherd.annotators.nli import NliSettings

STAGES = {
    "problems": "Problems",
    "models": "Models that write solutions",
    "annotation": "Annotation: solutions, rollouts, step labels",
    "reward_models": "Reward models",
    "policies": "Policies that learn from the reward models",
    "verification": "Verification: candidates and their scores",
    "warehouse": "Warehouse and report",
}
"""Asset groups in the order of the paper's stages."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Failures are told below, in one line where that is enough."""

NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}

MAX_NAMES = 7
"""Assets of a run that are named on the console."""

INTERRUPTED = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")


@dataclass(frozen=True)
class Work:
    """One run to make: which assets, in which partitions (a range, or none)."""

    keys: list[dg.AssetKey]
    partitions: list[str]

    @property
    def what(self) -> str:
        """The assets, for a line on the console."""
        names = [key.to_user_string() for key in self.keys]
        more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
        return ", ".join([*names[:MAX_NAMES], *more])

    @property
    def where(self) -> str:
        """The partitions, for a line on the console."""
        if not self.partitions:
            return "all partitions"
        first, last = self.partitions[0], self.partitions[-1]
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True)
class Failure:
    """A step that failed. ``is_users``: the message says what to put right."""

    work: Work
    step: str
    message: str
    is_users: bool


Pending = Callable[[Sequence[dg.AssetKey], str | None], list[dg.AssetKey]]
"""Which of some assets are to be made in a partition (None for those that have none)."""


def run_pipeline(home: Home, assets: Sequence[str] = (), partitions: Sequence[str] = ()) -> int:
    """Bring every asset up to date and print a summary; return the exit code.

    Where ``assets`` are named, those alone are made, in these partitions or in all, whether or
    not they are up to date.

    Raises:
        ValueError: the profile names a base that does not exist, or another number of shards
            than the lake has, or lacks an asset or partition that is asked for; nothing was run.
    """
    started, deployment = time.monotonic(), Deployment(SETTINGS, home)
    deployment.lake.check_shards(SETTINGS)
    for name in models_of(SETTINGS):
        deployment.base(name)
    annotation = SETTINGS.annotation
    for annotator in annotation.annotators:
        if isinstance(annotator, NliSettings):
            deployment.models.resolve(annotator.model)
    if annotation.judge is not None:
        deployment.judge_base(annotation.judge)
    asked_for = _asked_for(assets, partitions)
    with _open_instance(home) as instance:
        if assets:
            failures = _run_stages(instance, asked_for, _always(partitions))
        else:
            everything = defs.resolve_asset_graph().get_all_asset_keys()
            failures = _run_stages(instance, everything, Progress(instance, defs).pending)
    for failure in failures:
        print(f"error: {failure.step} ({failure.work.where}): {failure.message}", file=sys.stderr)
    if not failures:
        if not assets:
            print_summary(deployment, time.monotonic() - started)
        return 0
    if all(failure.is_users for failure in failures):
        return 2
    print(
        "What was finished is kept: the same command goes on from there. Logs: make ui.",
        file=sys.stderr,
    )
    return 1


def _open_instance(home: Home) -> dg.DagsterInstance:
    """Open the instance of DAGSTER_HOME without its logs of what steps print.

    That goes to this console. To copy it there as well, Dagster starts four processes a step, and
    those tell of Ctrl-C in tracebacks.
    """
    folder = os.environ.get("DAGSTER_HOME", str(home.dagster))
    return dg.DagsterInstance.from_ref(
        InstanceRef.from_dir(folder, overrides={"compute_logs": NO_COMPUTE_LOGS})
    )


def _asked_for(assets: Sequence[str], partitions: Sequence[str]) -> set[dg.AssetKey]:
    """Return the named assets, and those that are only made together with one of them.

    Raises:
        ValueError: the profile has no such asset or partition.
    """
    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string(): key for key in graph.toposorted_asset_keys}
    _refuse_unknown("--assets", assets, list(keys))
    _refuse_unknown("--partitions", partitions, PARTITIONS.get_partition_keys())
    return {made for name in assets for made in graph.get(keys[name]).execution_set_asset_keys}


def _always(partitions: Sequence[str]) -> Pending:
    """Return that all is to be made in these partitions, or in every one if none is named."""

    def pending(keys: Sequence[dg.AssetKey], partition: str | None) -> list[dg.AssetKey]:
        is_meant = partition is None or not partitions or partition in partitions
        return list(keys) if is_meant else []

    return pending


def _refuse_unknown(option: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            alike = difflib.get_close_matches(name, known) or sorted(known)
            raise ValueError(f"{option} {name}: the profile has none: it has {', '.join(alike)}")


def _run_stages(
    instance: dg.DagsterInstance, assets: Set[dg.AssetKey], pending: Pending
) -> list[Failure]:
    """Run stage after stage; a failed shard stops what reads all shards, not its siblings."""
    job = defs.resolve_implicit_global_asset_job_def()
    for group, headline in STAGES.items():
        keys = [key for key in _keys_of(group) if key in assets]
        if not keys:
            continue
        print(f"\n== {headline} ==", flush=True)
        failures: list[Failure] = []
        num_runs = 0
        for work in _works(pending, keys):
            if failures and not work.partitions:
                break
            num_runs += 1
            print(f"-- {work.where}: {work.what}", flush=True)
            failures += _execute(job, instance, work)
        if failures:
            return failures
        if not num_runs:
            print("up to date")
    return []


def _keys_of(group: str) -> list[dg.AssetKey]:
    """Return a group's assets in an order in which they can be made."""
    graph = defs.resolve_asset_graph()
    return [key for key in graph.toposorted_asset_keys if graph.get(key).group_name == group]


def _works(pending: Pending, keys: list[dg.AssetKey]) -> Iterator[Work]:
    """Yield the runs that a stage needs: its partitions one by one, then what has none.

    Cheap assets alone take one run for all partitions, if they are pending in all of them.
    """
    graph = defs.resolve_asset_graph()
    partitioned = [key for key in keys if graph.get(key).partitions_def]
    if partitioned:
        definition = graph.get(partitioned[0]).partitions_def
        partitions = sorted(definition.get_partition_keys()) if definition else []
        works = [
            Work(made, [partition])
            for partition in partitions
            if (made := pending(partitioned, partition))
        ]
        cheap = all(
            policy is not None and policy.policy_type.value == "SINGLE_RUN"
            for policy in (graph.get(key).backfill_policy for work in works for key in work.keys)
        )
        alike = all(work.keys == works[0].keys for work in works)
        if cheap and alike and len(works) == len(partitions):
            works = [Work(works[0].keys, partitions)]
        yield from works
    whole = [key for key in keys if key not in partitioned]
    if made := pending(whole, None):
        yield Work(made, [])


def _execute(job: dg.JobDefinition, instance: dg.DagsterInstance, work: Work) -> list[Failure]:
    """Make a run and tell which checks do not hold; return the steps that failed.

    Raises:
        KeyboardInterrupt: the run was interrupted, which Dagster keeps as a failure.
    """
    is_range = len(work.partitions) > 1
    result = job.execute_in_process(
        run_config=QUIET,
        instance=instance,
        asset_selection=work.keys,
        partition_key=work.partitions[0] if len(work.partitions) == 1 else None,
        tags={
            "dagster/asset_partition_range_start": work.partitions[0],
            "dagster/asset_partition_range_end": work.partitions[-1],
        }
        if is_range
        else None,
        raise_on_error=False,
    )
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            print(_complaint(evaluation))
    return [_failure(work, event) for event in result.get_step_failure_events()]


def _complaint(evaluation: dg.AssetCheckEvaluation) -> str:
    numbers = ", ".join(
        f"{name} {metadata.value:.3g}"
        for name, metadata in evaluation.metadata.items()
        if isinstance(metadata, dg.FloatMetadataValue | dg.IntMetadataValue)
    )
    kind = "warning" if evaluation.severity == dg.AssetCheckSeverity.WARN else "error"
    name = f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
    return f"   {kind}: {name} does not hold: {numbers}"


def _failure(work: Work, event: dg.DagsterEvent) -> Failure:
    error = event.step_failure_data.error
    cause = error.cause if error and error.cause else error
    if cause is not None and cause.cls_name in INTERRUPTED:
        raise KeyboardInterrupt
    if cause is None:
        return Failure(work, event.step_key or "", event.message or "", is_users=False)
    is_users = cause.cls_name in ("ValueError", "DagsterAssetCheckFailedError")
    message = cause.message.strip() if is_users else cause.to_string()
    return Failure(work, event.step_key or "", message.removeprefix("ValueError: "), is_users)
