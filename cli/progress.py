"""What of the pipeline is there already and up to date, by the events that Dagster keeps."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg


class Progress:
    """Answers which partitions of which assets are pending.

    A partition is current if it was materialized by today's code and settings, after
    everything that it reads, and what was written is still there.
    """

    def __init__(self, instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
        self._instance = instance
        self._graph = definitions.resolve_asset_graph()

    def pending(self, keys: Sequence[dg.AssetKey], partition: str | None) -> list[dg.AssetKey]:
        """Return those of the assets, in topological order, that are not current or read one.

        Assets that are only made together are pending together.
        """
        pending: set[dg.AssetKey] = set()
        for key in keys:
            node = self._graph.get(key)
            if not node.parent_keys.isdisjoint(pending) or not self._is_current(key, partition):
                pending |= node.execution_set_asset_keys
        return [key for key in keys if key in pending]

    def _is_current(self, key: dg.AssetKey, partition: str | None) -> bool:
        record = self._latest(key, partition)
        if record is None or record.asset_materialization is None:
            return False
        node, written = self._graph.get(key), record.asset_materialization
        version = (written.tags or {}).get("dagster/code_version")
        path = written.metadata.get("path")
        return (
            node.code_version in (None, version)
            and (path is None or Path(str(path.value)).exists())
            and all(
                self._latest_id(parent, partition) < record.storage_id
                for parent in node.parent_keys
            )
        )

    def _latest_id(self, key: dg.AssetKey, partition: str | None) -> int:
        """Return the storage id of what a reader in that partition reads; later is larger."""
        definition = self._graph.get(key).partitions_def
        partitions: Sequence[str | None] = [None]
        if definition is not None:
            partitions = [partition] if partition else definition.get_partition_keys()
        records = [self._latest(key, each) for each in partitions]
        return max((record.storage_id for record in records if record), default=0)

    def _latest(self, key: dg.AssetKey, partition: str | None) -> dg.EventLogRecord | None:
        found = self._instance.fetch_materializations(
            dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None),
            limit=1,
        )
        return found.records[0] if found.records else None
