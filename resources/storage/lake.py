"""The lake: one Parquet file per table, dataset and shard, written whole or not at all."""

import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from shepherd.schemas import PROBLEMS, Table, enforce
from shepherd.settings import NAME_PATTERN, Settings

WRITTEN_BY = {
    "rejected": "problems",
    "solution_costs": "solutions",
    "rollout_costs": "rollouts",
    "asked_rollouts": "rollouts",
    "search_trees": "rollouts",
    "critique_costs": "critiques",
    "candidate_costs": "candidates",
}
"""Assets that write a table beside their own; every other table is its own asset."""


@dataclass(frozen=True)
class Lake:
    """Tables under ``root``: ``<table>/<dataset>/<shard>.parquet``, or ``<table>/all.parquet``.

    Every frame is held to its table's schema when it is written and when it is read.
    """

    root: Path

    def path(self, table_name: str, dataset: str | None = None, shard: str | None = None) -> Path:
        """Return where a partition lies; without a shard the file is ``all.parquet``.

        Raises:
            ValueError: a name could leave its folder, or a shard is given without a dataset.
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

        ``metadata`` is kept in the file's footer, for :meth:`metadata`.

        Raises:
            ValueError: the frame is not of the table (:func:`shepherd.schemas.enforce`); the
                partition is then as it was.
        """
        path = self.path(table.name, dataset, shard)
        # One chunk, so that the bytes do not depend on how the frame was put together.
        checked = enforce(table, frame).rechunk()
        with _replacing(path) as file:
            # On our tables level 3, the default, is slower and no smaller.
            checked.write_parquet(
                file, compression="zstd", compression_level=1, metadata=dict(metadata or {})
            )
        return path

    def metadata(self, table: Table, dataset: str, shard: str) -> dict[str, str]:
        """Return what was written with a partition; nothing if it is not there or unreadable."""
        path = self.path(table.name, dataset, shard)
        try:
            return pl.read_parquet_metadata(path)
        except (FileNotFoundError, pl.exceptions.ComputeError):
            return {}

    def read(
        self, table: Table, dataset: str | None = None, shard: str | None = None
    ) -> pl.DataFrame:
        """Return one partition, all that exist of a dataset, or all of the table, in order.

        Raises:
            ValueError: nothing is there (the message names the asset to materialize), or a file
                is not of the table.
        """
        asset = WRITTEN_BY.get(table.name, table.name)
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
                f"materialize the asset {asset} first"
            )
        frames = [_read_file(table, path, asset) for path in paths]
        return frames[0] if len(frames) == 1 else enforce(table, pl.concat(frames))

    def scan(self, table: Table, partitions: Sequence[tuple[str, str]]) -> pl.LazyFrame:
        """Return a plan that reads these partitions, in order, without holding them.

        Raises:
            ValueError: one was never written (the message names the asset to materialize), or
                has other columns than the table.
        """
        paths = [self.path(table.name, *partition) for partition in partitions]
        asset = WRITTEN_BY.get(table.name, table.name)
        for path in paths:
            if not path.is_file():
                raise ValueError(f"{path}: not there: materialize the asset {asset} first")
            if pl.read_parquet_schema(path) != table.schema:
                raise ValueError(
                    f"{path}: not of the table {table.name} any more: materialize {asset} again"
                )
        return pl.scan_parquet(paths)

    def partitions(self, table: Table) -> list[tuple[str, str]]:
        """Return the (dataset, shard) pairs that were written, in order."""
        return [(dataset, shard) for dataset, shard in self._keys(table) if dataset and shard]

    def check_shards(self, settings: Settings) -> None:
        """Refuse a profile that would reshard a populated dataset; call it before writing problems.

        The shard counts are kept in ``shards.json``; a dataset without problems takes the
        profile's.

        Raises:
            ValueError: problems of a dataset were written under another number of shards.
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
            with _replacing(path) as file:
                file.write(json.dumps(current, sort_keys=True).encode())

    def _keys(self, table: Table) -> list[tuple[str | None, str | None]]:
        folder = self.path(table.name).parent
        whole = [(None, None)] if (folder / "all.parquet").is_file() else []
        files = sorted(folder.glob("*/*.parquet"))
        return [
            *whole,
            *((file.parent.name, None if file.stem == "all" else file.stem) for file in files),
        ]


def _read_file(table: Table, path: Path, asset: str) -> pl.DataFrame:
    try:
        # A file name is data here: glob and hive parsing would read meaning into it.
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
        return enforce(table, frame)
    except (ValueError, pl.exceptions.ComputeError) as error:
        raise ValueError(f"{path}: {error}: materialize the asset {asset} again") from error


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` that takes its place once the body has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
