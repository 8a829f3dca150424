"""Read from Dagster's event log which files of the lake the runs of a home have written."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from shepherd.schemas import TABLES, table_named

QUERY = """
    select distinct asset_key, partition from event_logs
    where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key is not null
"""
"""``asset_key`` is a JSON list; ``partition`` is ``dataset|shard``, or null for a whole table."""


def recorded_files(dagster: Path) -> set[tuple[str, ...]]:
    """Return what was written: (table, dataset, shard), or (table,) for a table in one file.

    ``dagster`` is the folder DAGSTER_HOME; nothing in it is changed. Without a log the result is
    empty.

    Raises:
        ValueError: the log is damaged, or another version of Dagster wrote it.
    """
    path = dagster / "history" / "runs" / "index.db"
    if not path.is_file():
        return set()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(QUERY).fetchall()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path}: cannot be read ({error}): move it aside") from error
    names = ((json.loads(key)[-1], partition) for key, partition in rows)
    return {
        (name, *(partition.split("|") if partition else ()))
        for name, partition in names
        # Relations of the warehouse are assets too, and have no partitions.
        if (table_named(name) if partition else name in TABLES)
    }
