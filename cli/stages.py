"""Run the stages of the pipeline: each stage in waves of Dagster runs, partition by partition."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType

import dagster as dg

from assets.run_processes import process_tags
from assets.warehouse.marts import WAREHOUSE_GROUPS
from cli.failed_checks import complaint, failing_partitions, is_error
from cli.file_errors import file_error
from cli.interrupts import INTERRUPTS, raise_if_interrupted
from cli.progress import Pending, Progress

STAGES = {
    "Problems": ("problems",),
    "Models that write solutions": ("models",),
    "Annotation: solutions, rollouts, step labels": ("annotation",),
    "Reward models": ("reward_models",),
    "Policies trained with the reward models": ("policies",),
    "Verification: candidates and their scores": ("verification",),
    "Warehouse and report": WAREHOUSE_GROUPS,
}
"""The asset groups of each stage by its headline, in the order of the paper's stages."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Failures are printed at the end, in one line where that is enough."""

USER_ERRORS = (
    *("ValueError", "WriteError", "StoreError", "OutOfReachError"),
    *("ConflictError", "LeaseLostError"),
)
"""The exceptions whose message says what the user can correct."""

CHECK_FAILED = "DagsterAssetCheckFailedError"
"""The exception by which Dagster ends a step after a blocking check did not hold."""

MAX_NAMES = 7
"""Assets that are named in a line on the console."""


@dataclass(frozen=True)
class PlannedRun:
    """A Dagster run to make: which assets, in which partitions (a range, or none)."""

    keys: tuple[dg.AssetKey, ...]
    partitions: tuple[str, ...]

    @property
    def where(self) -> str:
        """The partitions, for a line on the console."""
        if not self.partitions:
            return "all partitions"
        first, last = self.partitions[0], self.partitions[-1]
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True)
class Failure:
    """A step that failed. With ``is_users`` the message says what the user can correct."""

    run: PlannedRun
    step: str
    message: str
    is_users: bool
    is_check: bool = False
    """Whether the step is a check that blocks others."""


@dataclass
class StageRunner:
    """The asset groups of one stage, brought up to date."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    progress: Progress
    keys: list[dg.AssetKey]
    """The stage's assets that may be made, in topological order."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the runs, beside those of their process and partitions."""
    num_runs: int = 0
    failures: list[Failure] = field(default_factory=list)
    _made: set[tuple[dg.AssetKey, str | None]] = field(default_factory=set)

    def run(self) -> list[Failure]:
        """Make the partitions of partitioned assets, then the other assets.

        Partitioned assets that read other assets of the group follow these. A failed partition
        stops the assets that read all partitions, but no other partition.
        """
        graph = self.definitions.resolve_asset_graph()
        partitioned = {key for key in self.keys if graph.get(key).partitions_def}
        definitions = (graph.get(key).partitions_def for key in partitioned)
        definition = next(definitions, None)
        partitions = sorted(definition.get_partition_keys()) if definition else []
        phases = self._phases(partitioned)
        for keys in phases:
            self._announce(keys, partitions if keys[0] in partitioned else [None])
        for keys in phases:
            if self.failures:
                break
            if keys[0] not in partitioned:
                self._run_waves(keys, None)
                continue
            self._run_range(keys, partitions)
            for partition in partitions:
                self._run_waves(keys, partition)
        if not self.num_runs:
            print("up to date")
        return self.failures

    def _phases(self, partitioned: Set[dg.AssetKey]) -> list[list[dg.AssetKey]]:
        """Return the assets in groups to make one after another: partitioned, whole, partitioned...

        An asset that reads an asset of the other sort is in a later group than that asset.
        """
        graph = self.definitions.resolve_asset_graph()
        numbers: dict[dg.AssetKey, int] = {}
        for key in self.keys:
            number = max(
                (numbers.get(parent, 0) for parent in graph.get(key).parent_keys), default=0
            )
            is_whole = key not in partitioned
            numbers[key] = number + (number % 2 != is_whole)
        return [
            [key for key in self.keys if numbers[key] == number]
            for number in sorted(set(numbers.values()))
        ]

    def _announce(self, keys: list[dg.AssetKey], partitions: Iterable[str | None]) -> None:
        """Print what is to be made, why, and how long it took the last time."""
        seconds_by_line: dict[str, float] = {}
        for partition in partitions:
            by_reason: dict[str, list[dg.AssetKey]] = {}
            for each in self.progress.pending(keys, partition):
                by_reason.setdefault(each.reason, []).append(each.key)
            for reason, pending in by_reason.items():
                line = f"   {self.names(pending)}: {reason}"
                seconds = self.progress.seconds(pending, partition)
                seconds_by_line[line] = seconds_by_line.get(line, 0.0) + seconds
        for line, seconds in seconds_by_line.items():
            print(f"{line} ({seconds:.0f} s the last time)" if seconds else line, flush=True)

    def _run_range(self, keys: list[dg.AssetKey], partitions: list[str]) -> None:
        """Make cheap assets in all partitions with one run, if they are pending in all of them."""
        waves = {self._wave(keys, partition) for partition in partitions}
        wave = waves.pop() if len(waves) == 1 else ()
        if len(partitions) > 1 and wave and self._are_cheap(wave):
            self._execute(PlannedRun(wave, tuple(partitions)))

    def _run_waves(self, keys: list[dg.AssetKey], partition: str | None) -> None:
        """Make assets in a partition until none is pending, or one has failed."""
        num_failures = len(self.failures)
        while wave := self._wave(keys, partition):
            # An asset that was made and is pending again has failed, or the user named it: once
            # is enough.
            if self._made & {(key, partition) for key in wave}:
                break
            self._execute(PlannedRun(wave, (partition,) if partition else ()))
            if len(self.failures) > num_failures:
                break

    def _wave(self, keys: list[dg.AssetKey], partition: str | None) -> tuple[dg.AssetKey, ...]:
        """Return the assets to make next in a partition."""
        return next_wave(self.definitions, self.progress.pending(keys, partition))

    def _are_cheap(self, keys: Sequence[dg.AssetKey]) -> bool:
        """Return whether all assets take their partitions in one run."""
        graph = self.definitions.resolve_asset_graph()
        policies = (graph.get(key).backfill_policy for key in keys)
        return all(policy and policy.policy_type.value == "SINGLE_RUN" for policy in policies)

    def _execute(self, run: PlannedRun) -> None:
        """Make a run, print the checks that do not hold, and note the steps that failed.

        Raises:
            KeyboardInterrupt: the run was interrupted. Dagster reports that as a failure.
        """
        self.num_runs += 1
        self._made |= {(key, at) for key in run.keys for at in run.partitions or (None,)}
        print(f"-- {run.where}: {self.names(run.keys)}", flush=True)
        first, last = (run.partitions[0], run.partitions[-1]) if run.partitions else ("", "")
        ends = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        result = self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config=QUIET,
            instance=self.instance,
            asset_selection=run.keys,
            partition_key=first if first and first == last else None,
            tags={**self.tags, **process_tags(), **(ends if first != last else {})},
            raise_on_error=False,
        )
        raise_if_interrupted()
        evaluations = result.get_asset_check_evaluations()
        for evaluation in evaluations:
            if not evaluation.passed and not is_error(evaluation):
                print(f"   warning: {complaint(evaluation)}")
        self.progress.refresh()
        errors = [self._error(run, each) for each in evaluations if is_error(each)]
        failures = [_failure(run, event) for event in result.get_step_failure_events()]
        self.failures += errors
        # Dagster reports a blocking check that does not hold as a failed step as well.
        self.failures += [each for each in failures if not (errors and each.is_check)]

    def _error(self, run: PlannedRun, evaluation: dg.AssetCheckEvaluation) -> Failure:
        """Return the failure of a check; it names the files that were checked."""
        partitions = failing_partitions(evaluation, run.partitions or (None,))
        paths = (self.progress.path(evaluation.asset_key, each) for each in partitions)
        message = f"{complaint(evaluation)}: {', '.join(path for path in paths if path)}"
        return Failure(run, evaluation.asset_key.to_user_string(), message, is_users=False)

    def names(self, keys: Sequence[dg.AssetKey]) -> str:
        """Return the names of assets for a line on the console.

        Tables that are written together go by the name of their function.
        """
        asset_of = self.definitions.resolve_assets_def
        names = list(dict.fromkeys(_name(asset_of(key), key) for key in keys))
        more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
        return ", ".join([*names[:MAX_NAMES], *more])


def run_stages(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    progress: Progress,
    assets: Set[dg.AssetKey],
    tags: Mapping[str, str] = MappingProxyType({}),
) -> list[Failure]:
    """Run stage after stage, up to the first with a failure; return the failures.

    The runs have the given tags beside their own.
    """
    graph = definitions.resolve_asset_graph()
    for headline, groups in STAGES.items():
        keys = [key for key in graph.toposorted_asset_keys if graph.get(key).group_name in groups]
        keys = [key for key in keys if key in assets]
        if keys:
            print(f"\n== {headline} ==", flush=True)
            failures = StageRunner(definitions, instance, progress, keys, tags).run()
            if failures:
                return failures
    return []


def next_wave(definitions: dg.Definitions, pending: Sequence[Pending]) -> tuple[dg.AssetKey, ...]:
    """Return which of the pending assets of a partition can be made next.

    An asset that holds a model waits while it is uncertain. So do the assets that read a waiting
    asset.
    """
    graph = definitions.resolve_asset_graph()
    waiting: set[dg.AssetKey] = set()
    wave: list[dg.AssetKey] = []
    for each in pending:
        node = graph.get(each.key)
        if (node.pools and not each.is_certain) or node.parent_keys & waiting:
            waiting.add(each.key)
        else:
            wave.append(each.key)
    return tuple(wave)


def _name(asset: dg.AssetsDefinition, key: dg.AssetKey) -> str:
    return key.to_user_string() if len(asset.keys) == 1 else asset.op.name


def _failure(run: PlannedRun, event: dg.DagsterEvent) -> Failure:
    error = event.step_failure_data.error
    cause = error.cause if error and error.cause else error
    if cause is not None and cause.cls_name in INTERRUPTS:
        raise KeyboardInterrupt
    if cause is None:
        return Failure(run, event.step_key or "", event.message or "", is_users=False)
    is_users, is_check = cause.cls_name in USER_ERRORS, cause.cls_name == CHECK_FAILED
    message = cause.message.strip() if is_users or is_check else cause.to_string()
    # Dagster puts the exception's class before the message, with its module if it is not Python's.
    message = re.sub(rf"^[\w.]*{cause.cls_name}: ", "", message) if is_users else message
    of_file_system = None if is_users or is_check else file_error(cause.message)
    if of_file_system is not None:
        return Failure(run, event.step_key or "", of_file_system, is_users=True)
    return Failure(run, event.step_key or "", message, is_users, is_check)
