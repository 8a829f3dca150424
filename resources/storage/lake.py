"""Read and write the lake: one Parquet file for each table, dataset and shard."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from resources.storage.atomic import replacing_file
from resources.storage.digests import check_digest, digest_in_footer, write_parquet
from resources.storage.locks import file_lock
from resources.storage.shards import (
    DatasetShards,
    Shards,
    num_shards_of,
    read_shards,
    write_shards,
)
from shepherd.identity import shard_keys
from shepherd.schemas import PROBLEMS, Table, enforce, table_named, with_later_columns
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
            ValueError: the frame does not fit the schema (:func:`shepherd.schemas.enforce`), or
                the disk is full or read-only; the old partition then stays.
        """
        path = self.path(table.name, dataset, shard)
        checked = enforce(table, frame)
        with replacing_file(path) as file:
            write_parquet(checked, file, metadata)
        return path

    def metadata(self, table: Table, dataset: str, shard: str) -> dict[str, str]:
        """Return the footer's metadata of a partition; none if the file is missing or broken."""
        path = self.path(table.name, dataset, shard)
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
        return [self.path(table.name, *partition) for partition in self._keys(table)]

    def check_file(self, table: Table, path: Path) -> bool:
        """Check the digest of a file of a table; return whether it has one.

        Files that earlier versions of the pipeline wrote have none.

        Raises:
            ValueError: the file is damaged, or the pipeline did not write it; the message names
                the asset to materialize.
        """
        try:
            has_digest = check_digest(path)
            if not has_digest and self._has_digests(path):
                raise ValueError("has no digest: it was not written by the pipeline")
        except ValueError as error:
            raise ValueError(f"{path}: {error}: materialize the asset {table.name} again") from None
        return has_digest

    def strays(self) -> list[Path]:
        """Return the files of tables that are no partition of a dataset, sorted.

        They are never read. Hidden files, such as those of a write in progress, are left out.
        """
        files = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path for path in files if self._is_stray(path.relative_to(self.root)))

    def check_shards(self, settings: Settings) -> None:
        """Refuse settings that would reshard a populated dataset.

        Call it before problems are written. ``shards.json`` holds the number of shards of each
        dataset. A dataset without problems gets the number of the settings. A lost ``shards.json``
        is written again, also for datasets of other profiles.

        Raises:
            ValueError: the lake has another number of shards for a dataset: set ``shards`` to the
                number in the message. Or ``shards.json`` is damaged: move it aside.
        """
        recorded = self._shards()
        if self._checked_shards(recorded, settings) == recorded:
            return
        # Another profile may start in this home at the same time.
        with file_lock(self._shards_path.with_name(".shards.lock")):
            current = self._checked_shards(self._shards(), settings)
            write_shards(self._shards_path, current)

    def _checked_shards(self, recorded: Shards, settings: Settings) -> Shards:
        """Return what ``shards.json`` should hold.

        Raises:
            ValueError: the lake has another number of shards for a dataset.
        """
        populated = self._populated()
        if not recorded:
            recorded = {
                name: DatasetShards(shards=num_shards_of(paths, settings.shards))
                for name, paths in populated.items()
            }
        for name in recorded.keys() & populated.keys() & settings.datasets.keys():
            num_shards = recorded[name].shards
            if num_shards != settings.shards:
                raise ValueError(
                    f"shards is {settings.shards}, but {self.root} holds the dataset {name} in "
                    f"{num_shards} shards: set it back to {num_shards}, or point SHEPHERD_HOME at "
                    "a new folder"
                )
        numbers = {name: dataset.shards for name, dataset in recorded.items()}
        numbers |= dict.fromkeys(settings.datasets, settings.shards)
        return {
            name: DatasetShards(
                shards=num_shards,
                digests=(name in recorded and recorded[name].digests) or self._all_digests(name),
            )
            for name, num_shards in numbers.items()
        }

    def _populated(self) -> dict[str, list[Path]]:
        """Return the files of problems by dataset."""
        populated: dict[str, list[Path]] = {}
        for path in sorted(self.root.glob(f"{PROBLEMS.name}/*/*.parquet")):
            if re.fullmatch(r"\d+", path.stem) and re.fullmatch(NAME_PATTERN, path.parent.name):
                populated.setdefault(path.parent.name, []).append(path)
        return populated

    def _all_digests(self, dataset: str) -> bool:
        """Return whether all files of a dataset, and those outside the datasets, have digests.

        Tables of earlier versions of the pipeline are not read, and do not count.
        """
        paths = [*self.root.glob(f"*/{dataset}/*.parquet"), *self.root.glob("*/all.parquet")]
        names = ((path.relative_to(self.root).parts[0], path) for path in paths)
        return all(digest_in_footer(path) for name, path in names if table_named(name))

    @property
    def _shards_path(self) -> Path:
        return self.root / "shards.json"

    def _shards(self) -> Shards:
        return read_shards(self._shards_path)

    def _has_digests(self, path: Path) -> bool:
        """Return whether no earlier version of the pipeline can have written a file."""
        shards = self._shards()
        dataset = shards.get(path.parent.name)
        if dataset is not None:
            return dataset.digests
        return bool(shards) and all(each.digests for each in shards.values())

    def _is_partition(self, dataset: str, shard: str) -> bool:
        """Return whether a dataset has a shard, or ``all`` of a file without shards."""
        shards = self._shards()
        if not shards:
            return all(re.fullmatch(NAME_PATTERN, name) for name in (dataset, shard))
        return dataset in shards and shard in ("all", *shard_keys(shards[dataset].shards))

    def _is_stray(self, path: Path) -> bool:
        """Return whether a file is of a table but no partition of it, by its path in the lake."""
        if any(part.startswith(".") for part in path.parts):
            return False
        match path.parts:
            case (name,):
                return name != self._shards_path.name
            case (name, *_) if table_named(name) is None:
                # An earlier version of the pipeline may have had this table.
                return False
            case (_, "all.parquet"):
                return False
            case (_, dataset, _):
                return path.suffix != ".parquet" or not self._is_partition(dataset, path.stem)
        return True

    def _keys(self, table: Table) -> list[tuple[str | None, str | None]]:
        folder = self.path(table.name).parent
        whole = [(None, None)] if (folder / "all.parquet").is_file() else []
        files = sorted(folder.glob("*/*.parquet"))
        return [
            *whole,
            *(
                (file.parent.name, None if file.stem == "all" else file.stem)
                for file in files
                if self._is_partition(file.parent.name, file.stem)
            ),
        ]
