"""Store Dagster's events through SQLite connections that stay open."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData


class OpenEventStorage(SqliteEventLogStorage):
    """Dagster's own event storage, in the same files, without a new connection a statement.

    For each statement Dagster opens a connection through a new engine: SQLAlchemy compiles the
    statement again, and SQLite empties its write-ahead log when the connection closes. Here the
    engines of the index and of the last run stay. A commit does not wait for the disk: a power
    failure can lose the last events, but it damages no file
    (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the storage in a folder, which is made if it does not exist."""
        self._engines: dict[str, sa.Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Open the storage that a section of dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table."""
        return sa.inspect(self._engine(INDEX_SHARD_NAME)).has_table(table_name)

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        """Yield a connection to the index or to the file of a run, in a transaction."""
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        """Return the engine of a file. That of a run replaces that of the run before it."""
        if shard not in self._engines:
            if shard != INDEX_SHARD_NAME:
                for run in self._engines.keys() - {INDEX_SHARD_NAME}:
                    self._engines.pop(run).dispose()
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            sa.event.listen(engine, "connect", _wait_for_no_disk)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._engines[shard] = engine
        return self._engines[shard]


def _wait_for_no_disk(connection: Any, _record: object) -> None:
    connection.execute("pragma synchronous = normal")
