"""Find the checks of severity ERROR that do not hold, in a run or in the event log."""

from collections.abc import Iterable, Sequence

import dagster as dg

from assets.checks.structural import PARTITIONS_KEY

MAX_RECORDS = 10_000
"""The most failed evaluations of a check that are read from the event log."""


def is_error(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Return whether a check does not hold, and says more than a warning."""
    return not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR


def complaint(evaluation: dg.AssetCheckEvaluation) -> str:
    """Return in one line which check does not hold, with its numbers."""
    numbers = ", ".join(
        f"{name} {metadata.value:.3g}"
        for name, metadata in evaluation.metadata.items()
        if isinstance(metadata, dg.FloatMetadataValue | dg.IntMetadataValue)
    )
    name = f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
    return f"{name} does not hold: {numbers}"


def failing_partitions(
    evaluation: dg.AssetCheckEvaluation, checked: Sequence[str | None]
) -> Sequence[str | None]:
    """Return the partitions with failing rows if the check names them, else all that it read."""
    named = evaluation.metadata.get(PARTITIONS_KEY)
    return str(named.value).split(", ") if named else checked


class FailedChecks:
    """The failed checks in the event log, by the asset and the run that made it."""

    def __init__(self, instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> None:
        self._failed: dict[tuple[dg.AssetKey, str], list[tuple[str | None, str]]] = {}
        storage = instance.event_log_storage
        for key, latest in storage.get_latest_asset_check_execution_by_key(list(keys)).items():
            # The latest is that of one partition; the status has no public name.
            failed = {type(latest.status)["FAILED"]}
            is_whole = latest.partition is None
            for record in (
                [latest]
                if is_whole
                else storage.get_asset_check_execution_history(key, MAX_RECORDS, status=failed)
            ):
                if record.status in failed and record.evaluation:
                    self._add(record.partition, record.evaluation)

    def name(self, key: dg.AssetKey, run_id: str, partition: str | None) -> str | None:
        """Return a check that failed on what a run made of an asset, or None."""
        failed = self._failed.get((key, run_id), ())
        return next((name for at, name in failed if at in (None, partition)), None)

    def _add(self, partition: str | None, evaluation: dg.AssetCheckEvaluation) -> None:
        target = evaluation.target_materialization_data
        if target is not None and is_error(evaluation):
            made = self._failed.setdefault((evaluation.asset_key, target.run_id), [])
            made += [
                (at, evaluation.check_name) for at in failing_partitions(evaluation, [partition])
            ]
