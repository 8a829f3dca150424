"""Decide which partitions of which assets are to be made, and why, from Dagster's event log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.describe import SETTINGS_KEY
from resources.storage.io_manager import CONTENT_KEY

MAX_CHANGES = 3
"""Changed fields that a reason names."""

_Record = dg.EventLogRecord | None

NEVER_MADE = "never made"
OTHER_VERSION = "made by another version of the pipeline"


@dataclass(frozen=True)
class Pending:
    """An asset that is to be made in a partition.

    ``is_certain`` is false if the only reason is that an asset that it reads is made again: if
    that has equal content afterwards, this one need not be made.
    """

    key: dg.AssetKey
    reason: str
    is_certain: bool = True


class Progress:
    """Make what is missing or not up to date.

    A partition is up to date if it was made under the code version of today, if its file is there
    and if no asset that it reads has other content since. An asset that was made again with equal
    content is not new to those that read it.
    """

    def __init__(self, instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
        self._instance = instance
        self._graph = definitions.resolve_asset_graph()
        self._records: dict[tuple[dg.AssetKey, str | None, int | None], _Record] = {}

    def refresh(self) -> None:
        """Forget the records that were read from the event log."""
        self._records.clear()

    def pending(self, keys: Sequence[dg.AssetKey], partition: str | None) -> list[Pending]:
        """Return those of the assets, in topological order, that are not up to date.

        Assets that are made by one function are pending together.
        """
        pending: dict[dg.AssetKey, Pending] = {}
        for key in keys:
            reason = self._reason(key, partition)
            node = self._graph.get(key)
            parents = sorted(node.parent_keys & pending.keys())
            if key in pending or not (reason or parents):
                continue
            is_certain = bool(reason) and all(pending[parent].is_certain for parent in parents)
            reason = reason or f"reads {parents[0].to_user_string()}, which is made again"
            for made in node.execution_set_asset_keys:
                pending[made] = Pending(made, reason, is_certain)
        return [pending[key] for key in keys if key in pending]

    def seconds(self, keys: Sequence[dg.AssetKey], partition: str | None) -> float:
        """Return how long these assets took the last time, in seconds; 0 if never made."""
        steps: dict[str, set[str]] = {}
        for key in keys:
            record = self._latest(key, partition)
            if record is not None:
                entry = record.event_log_entry
                steps.setdefault(entry.run_id, set()).add(entry.step_key or "")
        return sum(
            step.end_time - step.start_time
            for run_id, step_keys in steps.items()
            for step in self._instance.get_run_step_stats(run_id, sorted(step_keys))
            if step.start_time and step.end_time
        )

    def of_earlier_versions(self) -> dict[str, list[str]]:
        """Return the assets, by group, that were made by a version that recorded no settings."""
        groups: dict[str, list[str]] = {}
        for key in self._graph.toposorted_asset_keys:
            node, record = self._graph.get(key), self._latest(key, None)
            written = record.asset_materialization if record else None
            has_settings = SETTINGS_KEY in node.metadata
            if has_settings and written and SETTINGS_KEY not in written.metadata:
                groups.setdefault(node.group_name, []).append(key.to_user_string())
        return groups

    def _reason(self, key: dg.AssetKey, partition: str | None) -> str | None:
        """Return why an asset is to be made in a partition; null if it is up to date."""
        record, node = self._latest(key, partition), self._graph.get(key)
        if record is None or record.asset_materialization is None:
            return NEVER_MADE
        written = record.asset_materialization
        version = (written.tags or {}).get("dagster/code_version")
        if node.code_version not in (None, version):
            return _changed_settings(_settings(written.metadata), _settings(node.metadata))
        path = written.metadata.get("path")
        if path is not None and not Path(str(path.value)).exists():
            return f"{path.value} is missing"
        for parent in sorted(node.parent_keys):
            if self._has_changed(parent, key, partition, record.storage_id):
                return f"reads {parent.to_user_string()}, which has changed"
        return None

    def _has_changed(
        self, parent: dg.AssetKey, key: dg.AssetKey, partition: str | None, before: int
    ) -> bool:
        """Return whether the content of a parent differs from what it was before an event."""
        for read in self._partitions_read(parent, key, partition):
            newest = self._latest(parent, read)
            if newest is None or newest.storage_id < before:
                continue
            content = _content(newest)
            if content is None or content != _content(self._latest(parent, read, before)):
                return True
        return False

    def _partitions_read(
        self, parent: dg.AssetKey, key: dg.AssetKey, partition: str | None
    ) -> Sequence[str | None]:
        """Return the partitions of a parent that an asset reads in one of its own."""
        definition = self._graph.get(parent).partitions_def
        if definition is None:
            return [None]
        if partition is None:
            return list(definition.get_partition_keys())
        mapped = self._graph.get_parent_partition_keys_for_child(partition, parent, key)
        return sorted(mapped.partitions_subset.get_partition_keys())

    def _latest(
        self, key: dg.AssetKey, partition: str | None, before: int | None = None
    ) -> _Record:
        """Return the newest materialization, or the newest one before an event."""
        place = (key, partition, before)
        if place not in self._records:
            records = self._instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    key,
                    asset_partitions=[partition] if partition else None,
                    before_storage_id=before,
                ),
                limit=1,
            ).records
            self._records[place] = records[0] if records else None
        return self._records[place]


class MakeAgain(Progress):
    """Make all assets that are named, up to date or not, in some partitions or in every one."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        definitions: dg.Definitions,
        partitions: Sequence[str],
    ) -> None:
        super().__init__(instance, definitions)
        self._chosen = partitions

    def pending(self, keys: Sequence[dg.AssetKey], partition: str | None) -> list[Pending]:
        """Return all assets, if the partition is one of those to make."""
        is_chosen = partition is None or not self._chosen or partition in self._chosen
        return [Pending(key, "named on the command line") for key in keys] if is_chosen else []


def _content(record: _Record) -> object:
    """Return what identifies the content of a materialization; null if it was not recorded."""
    if record is None or record.asset_materialization is None:
        return None
    value = record.asset_materialization.metadata.get(CONTENT_KEY)
    return None if value is None else value.value


def _settings(metadata: Mapping[str, object]) -> dict[str, object] | None:
    """Return the settings that an asset depends on, by dotted field; null if not recorded."""
    value = metadata.get(SETTINGS_KEY)
    return dict(value.data) if isinstance(value, dg.JsonMetadataValue) and value.data else None


def _changed_settings(old: dict[str, object] | None, new: dict[str, object] | None) -> str:
    """Return which fields have changed, with both values."""
    if old is None or new is None or old == new:
        return OTHER_VERSION
    changes = [
        f"{field} was {_shown(old, field)}, is {_shown(new, field)}"
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field) or (field in old) != (field in new)
    ]
    more = [f"and {len(changes) - MAX_CHANGES} more"] if len(changes) > MAX_CHANGES else []
    return "; ".join([*changes[:MAX_CHANGES], *more])


def _shown(settings: Mapping[str, object], field: str) -> str:
    return str(settings[field]) if field in settings else "not set"
