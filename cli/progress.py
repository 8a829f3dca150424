"""Decide from Dagster's event log which assets are made next in a partition, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.deployment import Deployment
from assets.describe import SETTINGS_KEY
from cli.changed_settings import OTHER_VERSION, changes_of, settings_in
from cli.failed_checks import FailedChecks
from resources.storage.home import Home
from resources.storage.home_files import LOCAL
from resources.storage.io_manager import CONTENT_KEY, DIGEST_KEY, Partition
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from shepherd.dependencies import holds_graded_texts

POINTER = "dagster/input_event_pointer"
"""Begins the tag of a materialization that holds the id of a parent's event, or NO_EVENT."""

NO_EVENT = "NULL"

_Record = dg.EventLogRecord | None

NEVER_MADE = "never made"
KEPT_TEXTS = "texts of unchanged models are kept and graded again"


@dataclass(frozen=True)
class Pending:
    """An asset that is not up to date in a partition."""

    key: dg.AssetKey
    reason: str
    is_certain: bool = True
    """True if the asset has a reason of its own, and so has every pending asset that it reads.
    Otherwise it is decided again once those are made, and an asset that holds a model waits."""


class Progress:
    """Find the assets that are not up to date.

    An asset is up to date in a partition if it was made under the present code version, its file is
    the one that was recorded, no check of severity ERROR failed on it, and the content of the
    assets that it reads has not changed since. So an asset that was made again with equal content
    makes nothing else stale.
    """

    def __init__(self, instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
        self._instance = instance
        self._graph = definitions.resolve_asset_graph()
        deployment = (definitions.resources or {}).get("deployment")
        self._home = deployment.home if isinstance(deployment, Deployment) else None
        self._files = self._home.files if self._home else LOCAL
        self._records: dict[tuple[dg.AssetKey, str | None, int | None], _Record] = {}
        self.refresh()

    def refresh(self) -> None:
        """Forget the records that were read from the event log, and the digests of files."""
        self._records.clear()
        self._failed_checks: FailedChecks | None = None
        self._digest_of = self._files.digests()

    def pending(self, keys: Sequence[dg.AssetKey], partition: str | None) -> list[Pending]:
        """Return the assets that are not up to date, in the topological order of ``keys``.

        An asset that reads a pending asset is pending too, but without a reason of its own it is
        not certain. Assets that one function makes are pending together.
        """
        pending: dict[dg.AssetKey, Pending] = {}
        for siblings in dict.fromkeys(self._siblings(key) for key in keys):
            reasons = [reason for key in siblings if (reason := self._reason(key, partition))]
            parents = sorted(self._parents(siblings) & pending.keys())
            if not (reasons or parents):
                continue
            is_certain = bool(reasons) and all(pending[parent].is_certain for parent in parents)
            # Why the others are made again says more than that one of them is new.
            known = [reason for reason in reasons if reason != NEVER_MADE] or reasons
            reason = known[0] if known else _if_differs(parents[0])
            pending |= {key: Pending(key, reason, is_certain) for key in siblings}
        return [pending[key] for key in keys if key in pending]

    def _siblings(self, key: dg.AssetKey) -> tuple[dg.AssetKey, ...]:
        """Return the assets that one function makes, in order."""
        return tuple(sorted(self._graph.get(key).execution_set_asset_keys))

    def _parents(self, siblings: Sequence[dg.AssetKey]) -> set[dg.AssetKey]:
        """Return the assets that the function of these assets reads."""
        return {parent for key in siblings for parent in self._graph.get(key).parent_keys}

    def seconds(self, keys: Sequence[dg.AssetKey], partition: str | None) -> float:
        """Return the seconds that the last runs of these assets took; 0 if there was none.

        Assets that one step made together count once.
        """
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
        """Return, by group, the assets made by a pipeline version that recorded no settings."""
        groups: dict[str, list[str]] = {}
        for key in self._graph.toposorted_asset_keys:
            node, record = self._graph.get(key), self._latest(key, None)
            written = record.asset_materialization if record else None
            has_settings = SETTINGS_KEY in node.metadata
            if has_settings and written and SETTINGS_KEY not in written.metadata:
                groups.setdefault(node.group_name, []).append(key.to_user_string())
        return groups

    def _reason(self, key: dg.AssetKey, partition: str | None) -> str | None:
        """Return why an asset is not up to date in a partition, or None if it is."""
        record, node = self._latest(key, partition), self._graph.get(key)
        if record is None or record.asset_materialization is None:
            return NEVER_MADE
        written = record.asset_materialization
        version = (written.tags or {}).get("dagster/code_version")
        if node.code_version not in (None, version):
            settings = settings_in(written.metadata)
            changed = changes_of(settings, settings_in(node.metadata))
            keeps_texts = changed == OTHER_VERSION and settings is not None
            is_kept = keeps_texts and holds_graded_texts(key.path[-1])
            return f"{changed}; {KEPT_TEXTS}" if is_kept else changed
        if reason := self._file_reason(key, partition, written.metadata):
            return reason
        if failed := self._checks().name(key, record.run_id, partition):
            return f"the check {failed} did not hold"
        for parent in sorted(node.parent_keys):
            if self._has_changed(parent, key, partition, _first_unread(record, parent)):
                return f"reads {parent.to_user_string()}, which has changed"
        return None

    def path(self, key: dg.AssetKey, partition: str | None) -> str | None:
        """Return the file of a partition in this home, or None if there is no record."""
        record = self._latest(key, partition)
        written = record.asset_materialization if record else None
        path = self._path(key, partition, written.metadata) if written else None
        return None if path is None else str(path)

    def _path(
        self, key: dg.AssetKey, partition: str | None, metadata: Mapping[str, dg.MetadataValue]
    ) -> Path | None:
        value = metadata.get("path")
        if value is None:
            return None
        recorded = Path(str(value.value))
        return recorded if self._home is None else _in_home(self._home, key, partition, recorded)

    def _file_reason(
        self, key: dg.AssetKey, partition: str | None, metadata: Mapping[str, dg.MetadataValue]
    ) -> str | None:
        """Return why the file of an asset is not the one that was recorded, or None if it is.

        A run that was killed after it wrote a file has not recorded it. Events of earlier versions
        of the pipeline hold no digest.
        """
        path, digest = self._path(key, partition, metadata), metadata.get(DIGEST_KEY)
        if path is None:
            return None
        found, recorded = self._digest_of(path), digest.value if digest else None
        if found is None or recorded not in (None, found):
            # Another worker may have written and recorded it since the digests were listed.
            found = self._files.digest(path)
        if found is None:
            return f"{path} is missing"
        if recorded not in (None, found):
            return f"{path} was written by a run that was killed, or by another program"
        return None

    def _checks(self) -> FailedChecks:
        if self._failed_checks is None:
            self._failed_checks = FailedChecks(self._instance, self._graph.asset_check_keys)
        return self._failed_checks

    def _has_changed(
        self, parent: dg.AssetKey, key: dg.AssetKey, partition: str | None, before: int
    ) -> bool:
        """Return whether a parent's content differs from its content before an event of the log.

        Only the parent's partitions that the asset reads are compared.
        """
        for parent_partition in self._partitions_read(parent, key, partition):
            newest = self._latest(parent, parent_partition)
            if newest is None or newest.storage_id < before:
                continue
            content = _content(newest)
            if content is None or content != _content(
                self._latest(parent, parent_partition, before)
            ):
                return True
        return False

    def _partitions_read(
        self, parent: dg.AssetKey, key: dg.AssetKey, partition: str | None
    ) -> Sequence[str | None]:
        """Return the partitions of a parent that an asset reads to make one partition."""
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
        query = (key, partition, before)
        if query not in self._records:
            records = self._instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    key,
                    asset_partitions=[partition] if partition else None,
                    before_storage_id=before,
                ),
                limit=1,
            ).records
            self._records[query] = records[0] if records else None
        return self._records[query]


class MakeAgain(Progress):
    """Find the assets that the user named, up to date or not.

    ``partitions`` are those to make; if there are none, every partition is.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        definitions: dg.Definitions,
        partitions: Sequence[str],
    ) -> None:
        super().__init__(instance, definitions)
        self._partitions = partitions

    def pending(self, keys: Sequence[dg.AssetKey], partition: str | None) -> list[Pending]:
        """Return all assets if the partition is one of those to make, else none."""
        is_chosen = partition is None or not self._partitions or partition in self._partitions
        return [Pending(key, "named on the command line") for key in keys] if is_chosen else []


def _in_home(home: Home, key: dg.AssetKey, partition: str | None, recorded: Path) -> Path:
    """Return the file of an asset in a home, which may be moved or copied after the record."""
    name = key.path[-1]
    if recorded.suffix == ".parquet":
        return Lake(home.lake).path(name, *(Partition.of(partition) if partition else ()))
    whole = {path.name: path for path in (home.warehouse, home.report, home.exports)}
    return whole.get(recorded.name) or ModelStore(home.models).link(name)


def _if_differs(parent: dg.AssetKey) -> str:
    """Return the reason of an asset that need not be made if a parent's content stays equal."""
    return f"if the new content of {parent.to_user_string()} differs"


def _content(record: _Record) -> object:
    """Return the hash of the content of a materialization, or None if none was recorded."""
    if record is None or record.asset_materialization is None:
        return None
    value = record.asset_materialization.metadata.get(CONTENT_KEY)
    return None if value is None else value.value


def _first_unread(record: dg.EventLogRecord, parent: dg.AssetKey) -> int:
    """Return the id from which on a parent's events are newer than what an asset was made from.

    Dagster notes the parent's newest event, of any partition, before a step reads. The asset's own
    event comes after the step: another run may have replaced the parent meanwhile.
    """
    written = record.asset_materialization
    pointer = (written.tags or {}).get(f"{POINTER}/{parent.to_user_string()}") if written else None
    if pointer is None:
        return record.storage_id
    return 0 if pointer == NO_EVENT else int(pointer) + 1
