"""Read and write the lake: one Parquet file for each table, dataset and shard."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from resources.storage.atomic import replacing_file
from shepherd.schemas import PROBLEMS, Table, enforce
from shepherd.settings import NAME_PATTERN, Settings


@dataclass(frozen=True)
class Lake:
    """Tables under ``root``: ``<table>/<dataset>/<shard>.parquet``, or ``<table>/all.parquet``.

    Frames are checked against the schema of their table when they are written and read. Files
    are written whole or not at all.
    """

    root: Path

    def path(self, table_name: str, dataset: str | None = None, shard: str | None = None) -> Path:
        """Return the file of a partition; without a shard it is ``all.parquet``.

        Raises:
            ValueError: a name is no plain file name, or a shard is given without a dataset.
        """
        if dataset is None and shard is not None:
            raise ValueError(f"table {table_name}: shard {shard!r} needs a dataset")
        names = [table_name, *([dataset] if dataset is not None else []), shard or "all"]
        for name in names:
            if not re.fullmatch(NAME_PATTERN, name):
                raise ValueError(f"name {name!r} must match {NAME_PATTERN}: it becomes a file name")
        return self.root.joinpath(*names[:-1], f"{names[-1]}.parquet")

    def write(
        self,
        table: Table,
        frame: pl.DataFrame,
        dataset: str | None = None,
        shard: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """Replace a partition and return its path; equal frames and metadata give equal bytes.

        ``metadata`` goes into the footer of the file; :meth:`metadata` returns it.

        Raises:
            ValueError: the frame does not fit the schema (:func:`shepherd.schemas.enforce`); the
                old partition then stays.
        """
        path = self.path(table.name, dataset, shard)
        # One chunk, so that the bytes do not depend on how the frame was concatenated.
        checked = enforce(table, frame).rechunk()
        with replacing_file(path) as file:
            # Level 3, the default, is slower on our tables, and the files are no smaller.
            checked.write_parquet(
                file, compression="zstd", compression_level=1, metadata=dict(metadata or {})
            )
        return path

    def metadata(self, table: Table, dataset: str, shard: str) -> dict[str, str]:
        """Return the footer's metadata of a partition; none if the file is missing or broken."""
        path = self.path(table.name, dataset, shard)
        try:
            return pl.read_parquet_metadata(path)
        except (FileNotFoundError, pl.exceptions.ComputeError):
            return {}

    def read(
        self, table: Table, dataset: str | None = None, shard: str | None = None
    ) -> pl.DataFrame:
        """Return one partition, the partitions of a dataset, or the whole table, in order.

        Raises:
            ValueError: no file exists (the message names the asset to materialize), or a file
                does not fit the schema.
        """
        if shard is not None:
            paths = [self.path(table.name, dataset, shard)]
        else:
            paths = [
                self.path(table.name, *partition)
                for partition in self._keys(table)
                if dataset in (None, partition[0])
            ]
        if not paths or not paths[0].is_file():
            where = "".join(
                f", {kind} {key}" for kind, key in (("dataset", dataset), ("shard", shard)) if key
            )
            raise ValueError(
                f"table {table.name}{where}: nothing in the lake at {self.root}: "
                f"materialize the asset {table.name} first"
            )
        frames = [_read_file(table, path) for path in paths]
        return frames[0] if len(frames) == 1 else enforce(table, pl.concat(frames))

    def scan(self, table: Table, partitions: Sequence[tuple[str, str]]) -> pl.LazyFrame:
        """Return a lazy frame that reads these partitions in order.

        Raises:
            ValueError: a partition was never written, or its columns are not those of the table;
                the message names the asset to materialize.
        """
        paths = [self.path(table.name, *partition) for partition in partitions]
        for path in paths:
            if not path.is_file():
                raise ValueError(f"{path}: no such file: materialize the asset {table.name} first")
            if pl.read_parquet_schema(path) != table.schema:
                raise ValueError(
                    f"{path}: has other columns than the table {table.name}: materialize the "
                    f"asset {table.name} again"
                )
        return pl.scan_parquet(paths)

    def partitions(self, table: Table) -> list[tuple[str, str]]:
        """Return the (dataset, shard) pairs of a table's files, in order."""
        return [(dataset, shard) for dataset, shard in self._keys(table) if dataset and shard]

    def check_shards(self, settings: Settings) -> None:
        """Refuse settings that would reshard a populated dataset.

        Call it before problems are written. ``shards.json`` holds the number of shards of each
        dataset. A dataset without problems gets the number of the settings.

        Raises:
            ValueError: the lake has another number of shards for a dataset: set ``shards`` to the
                number in the message.
        """
        path = self.root / "shards.json"
        recorded: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
        populated = {dataset for dataset, _ in self.partitions(PROBLEMS)}
        for name in settings.datasets:
            if name in populated and recorded.get(name, settings.shards) != settings.shards:
                raise ValueError(
                    f"shards is {settings.shards}, but {self.root} holds the dataset {name} in "
                    f"{recorded[name]} shards: set it back to {recorded[name]}, or point "
                    "SHEPHERD_HOME at a new folder"
                )
        current = {**recorded, **dict.fromkeys(settings.datasets, settings.shards)}
        if current != recorded:
            with replacing_file(path) as file:
                file.write(json.dumps(current, sort_keys=True).encode())

    def _keys(self, table: Table) -> list[tuple[str | None, str | None]]:
        folder = self.path(table.name).parent
        whole = [(None, None)] if (folder / "all.parquet").is_file() else []
        files = sorted(folder.glob("*/*.parquet"))
        return [
            *whole,
            *((file.parent.name, None if file.stem == "all" else file.stem) for file in files),
        ]


def _read_file(table: Table, path: Path) -> pl.DataFrame:
    try:
        # The path is literal: polars must not take brackets or `=` in it for patterns.
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
        return enforce(table, frame)
    except (ValueError, pl.exceptions.ComputeError) as error:
        raise ValueError(f"{path}: {error}: materialize the asset {table.name} again") from error
