"""Read and write the lake: one Parquet file for each table, dataset and shard."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from resources.storage.atomic import replacing_file
from resources.storage.digests import check_digest, write_parquet
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.lake_shards import LakeShards
from shepherd.schemas import Table, enforce, table_named, with_later_columns
from shepherd.settings import NAME_PATTERN, Settings


@dataclass(frozen=True)
class Lake:
    """Tables under ``root``: ``<table>/<dataset>/<shard>.parquet``, or ``<table>/all.parquet``.

    Frames are checked against the schema of their table when they are written and read. Files
    are written whole or not at all.
    """

    root: Path
    home_files: HomeFiles = LOCAL

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
            ValueError: the frame does not fit the schema (:func:`shepherd.schemas.enforce`), or
                the disk is full or read-only; the old partition then stays. In a home in a store:
                another run has written the partition meanwhile, or the lease is lost.
        """
        path = self.path(table.name, dataset, shard)
        checked = enforce(table, frame)
        with self.home_files.committing(path), replacing_file(path) as file:
            write_parquet(checked, file, metadata)
        return path

    def metadata(self, table: Table, dataset: str, shard: str) -> dict[str, str]:
        """Return the footer's metadata of a partition; none if the file is missing or broken."""
        path = self.path(table.name, dataset, shard)
        self.home_files.fetch([path])
        try:
            return pl.read_parquet_metadata(path)
        except (FileNotFoundError, PolarsError, PanicException):
            return {}

    def read(
        self, table: Table, dataset: str | None = None, shard: str | None = None
    ) -> pl.DataFrame:
        """Return one partition, the partitions of a dataset, or the whole table, in order.

        Raises:
            ValueError: no file exists (the message names the asset to materialize), or a file is
                damaged or does not fit the schema.
        """
        if shard is not None:
            paths = [self.path(table.name, dataset, shard)]
        else:
            paths = [
                self.path(table.name, *partition)
                for partition in self._keys(table)
                if dataset in (None, partition[0])
            ]
        self.home_files.fetch(paths)
        if not paths or not paths[0].is_file():
            where = "".join(
                f", {kind} {key}" for kind, key in (("dataset", dataset), ("shard", shard)) if key
            )
            raise ValueError(
                f"table {table.name}{where}: nothing in the lake at {self.root}: "
                f"materialize the asset {table.name} first"
            )
        frames = [self.read_file(table, path) for path in paths]
        return frames[0] if len(frames) == 1 else enforce(table, pl.concat(frames))

    def read_file(self, table: Table, path: Path) -> pl.DataFrame:
        """Return the rows of one file of a table.

        Raises:
            ValueError: the file is damaged or does not fit the schema; the message names the
                asset to materialize.
        """
        self.check_file(table, path)
        try:
            # The path is literal: polars must not take brackets or `=` in it for patterns.
            frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
            return enforce(table, with_later_columns(table, frame))
        except (ValueError, PolarsError, PanicException) as error:
            raise ValueError(
                f"{path}: {error}: materialize the asset {table.name} again"
            ) from error

    def scan(self, table: Table, partitions: Sequence[tuple[str, str]]) -> pl.LazyFrame:
        """Return a lazy frame that reads these partitions in order.

        Raises:
            ValueError: a partition was never written, is damaged, or has other columns than the
                table; the message names the asset to materialize.
        """
        paths = [self.path(table.name, *partition) for partition in partitions]
        self.home_files.fetch(paths)
        for path in paths:
            if not path.is_file():
                raise ValueError(f"{path}: no such file: materialize the asset {table.name} first")
            self.check_file(table, path)
            if pl.read_parquet_schema(path) != table.schema:
                raise ValueError(
                    f"{path}: has other columns than the table {table.name}: materialize the "
                    f"asset {table.name} again"
                )
        return pl.scan_parquet(paths)

    def partitions(self, table: Table) -> list[tuple[str, str]]:
        """Return the (dataset, shard) pairs of a table's files, in order."""
        return [(dataset, shard) for dataset, shard in self._keys(table) if dataset and shard]

    def files(self, table: Table) -> list[Path]:
        """Return the files of a table, in order. Files that are no partition are left out."""
        paths = [self.path(table.name, *partition) for partition in self._keys(table)]
        self.home_files.fetch(paths)
        return paths

    def check_file(self, table: Table, path: Path) -> bool:
        """Check the digest of a file of a table; return whether it has one.

        Files that earlier versions of the pipeline wrote have none.

        Raises:
            ValueError: the file is damaged, or the pipeline did not write it; the message names
                the asset to materialize.
        """
        try:
            has_digest = check_digest(path)
            if not has_digest and self._layout.has_digests(path):
                raise ValueError("has no digest: it was not written by the pipeline")
        except ValueError as error:
            raise ValueError(f"{path}: {error}: materialize the asset {table.name} again") from None
        return has_digest

    def strays(self) -> list[Path]:
        """Return the files of tables that are no partition of a dataset, sorted.

        They are never read. Hidden files, such as those of a write in progress, are left out.
        """
        files = self.home_files.below(self.root)
        self._layout.fetch()
        return [path for path in files if self._is_stray(path.relative_to(self.root))]

    def check_shards(self, settings: Settings) -> None:
        """Refuse settings that would reshard a populated dataset; record those of new ones.

        Call it before problems are written.

        Raises:
            ValueError: the lake has another number of shards for a dataset: set ``shards`` to the
                number in the message. Or ``shards.json`` is damaged: move it aside.
        """
        self._layout.check(settings)

    @property
    def _layout(self) -> LakeShards:
        return LakeShards(self.root, self.home_files)

    def _is_stray(self, path: Path) -> bool:
        """Return whether a file is of a table but no partition of it, by its path in the lake."""
        match path.parts:
            case (name,):
                return name != self._layout.path.name
            case (name, *_) if table_named(name) is None:
                # An earlier version of the pipeline may have had this table.
                return False
            case (_, "all.parquet"):
                return False
            case (_, dataset, _):
                return path.suffix != ".parquet" or not self._layout.is_partition(
                    dataset, path.stem
                )
        return True

    def _keys(self, table: Table) -> list[tuple[str | None, str | None]]:
        folder = self.path(table.name).parent
        self._layout.fetch()
        paths = [path.relative_to(folder) for path in self.home_files.below(folder)]
        whole = [(None, None)] if Path("all.parquet") in paths else []
        return [
            *whole,
            *(
                (path.parts[0], None if path.stem == "all" else path.stem)
                for path in paths
                if len(path.parts) == 2 and path.suffix == ".parquet"
                if self._layout.is_partition(path.parts[0], path.stem)
            ),
        ]
