"""Load and store the polars frames of Dagster assets: one Parquet file for each partition."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import dagster as dg
import polars as pl

from resources.storage.content import digest_of
from resources.storage.digests import digest_in_footer
from resources.storage.lake import Lake
from shepherd.identity import content_id
from shepherd.schemas import Table

MetadataField: TypeAlias = "dg.MetadataValue[Any] | dg.TableSchema | str | float | None"
"""A value of a materialization's metadata."""

CONTENT_KEY = "content"
"""The metadata field of a materialization that identifies its content."""

ROW_COUNT, PARTITION_ROW_COUNT = "dagster/row_count", "dagster/partition_row_count"
"""Dagster's fields of the rows of a whole table, and of one partition."""

DIGEST_KEY = "digest"
"""The metadata field of a materialization that identifies its file, to the bit."""


class Partition(NamedTuple):
    """A partition: one shard of one dataset."""

    dataset: str
    shard: str

    @classmethod
    def of(cls, key: str) -> "Partition":
        """Read a Dagster key, ``dataset|shard``."""
        return cls(*key.split("|"))

    @property
    def key(self) -> str:
        """The Dagster key, ``dataset|shard``."""
        return f"{self.dataset}|{self.shard}"


@dataclass(frozen=True)
class Frames(Mapping[Partition, pl.DataFrame]):
    """The frames of a run's partitions. Each is made at every access and not cached.

    So a run over many partitions holds one of them in memory at a time.
    """

    partitions: tuple[Partition, ...]
    make: Callable[[Partition], pl.DataFrame]

    def __getitem__(self, partition: Partition) -> pl.DataFrame:
        return self.make(partition)

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.partitions)

    def __len__(self) -> int:
        return len(self.partitions)


def each(function: Callable[..., pl.DataFrame], *inputs: Frames) -> Frames:
    """Apply a function of plain frames to each partition of the inputs."""
    return Frames(
        inputs[0].partitions,
        lambda partition: function(*(frames[partition] for frames in inputs)),
    )


class ParquetIOManager(dg.IOManager):
    """Store each asset in the lake table of its name.

    An output is a :class:`Frames` of the run's partitions, or one frame if there is one partition
    or none. An input annotated with ``Frames`` is loaded partition by partition, one annotated
    with ``pl.DataFrame`` as one frame of all its partitions, and one annotated with
    ``pl.LazyFrame`` as a lazy frame. No partition of an input may be missing.

    Args:
        lake: where tables are read and written.
        tables: the tables by asset name.
        describe: returns the metadata of a materialization, given its table and frame.
        totals: returns the metadata of a table with partitions, given the rows of all of them.
        origin: returns the footer's metadata, given a table's name and a partition.
        after_write: is called with a table's name and a partition once the file is on disk.
    """

    def __init__(
        self,
        lake: Lake,
        tables: Mapping[str, Table],
        describe: Callable[[Table, pl.DataFrame], Mapping[str, MetadataField]],
        totals: Callable[[Table, pl.LazyFrame], Mapping[str, MetadataField]],
        origin: Callable[[str, Partition], Mapping[str, str]],
        after_write: Callable[[str, Partition], None],
    ) -> None:
        self._lake = lake
        self._tables = tables
        self._describe = describe
        self._totals = totals
        self._origin = origin
        self._after_write = after_write
        self._step: Callable[[], object] = lambda: None

    def handle_output(self, context: dg.OutputContext, obj: Frames | pl.DataFrame) -> None:
        """Write each partition, and add its metadata and content to its materialization.

        The content is a digest of the rows (:func:`resources.storage.content.digest_of`). It
        becomes Dagster's data version, of which a step has one: in a run of several partitions,
        the hash of their contents.
        """
        table = self._tables[context.asset_key.path[-1]]
        self._begin_step(context)
        step = dg.AssetExecutionContext.get()
        if not context.has_asset_partitions:
            assert isinstance(obj, pl.DataFrame)
            path, content = self._lake.write(table, obj), digest_of(obj)
            context.add_output_metadata(self._metadata(table, obj, path, content))
            step.set_data_version(context.asset_key, dg.DataVersion(content))
            return
        partitions = _partitions(context)
        if isinstance(obj, pl.DataFrame):
            obj = _only(obj, partitions)
        contents, described = [], []
        for partition in partitions:
            # A frame is read and made here, and may be one of many.
            with self._lake.home_files.reading():
                frame = obj[partition]
                origin = self._origin(table.name, partition)
                path = self._lake.write(table, frame, *partition, metadata=origin)
            self._after_write(table.name, partition)
            contents.append(digest_of(frame))
            metadata = self._metadata(table, frame, path, contents[-1])
            described.append({**metadata, PARTITION_ROW_COUNT: frame.height})
        rows = _all_rows(self._lake, table)
        totals = {} if rows is None else self._totals(table, rows)
        for partition, metadata in zip(partitions, described, strict=True):
            step.add_asset_metadata(
                {**metadata, **totals}, asset_key=context.asset_key, partition_key=partition.key
            )
        version = contents[0] if len(contents) == 1 else content_id(*contents)
        step.set_data_version(context.asset_key, dg.DataVersion(version))

    def load_input(self, context: dg.InputContext) -> Frames | pl.DataFrame | pl.LazyFrame:
        """Read the partitions that the partitions of the run map to.

        Raises:
            ValueError: a partition was never written; the message names the asset.
        """
        table = self._tables[context.asset_key.path[-1]]
        self._begin_step(context)
        if not context.has_asset_partitions:
            return self._lake.read(table)
        partitions = _partitions(context)
        if context.dagster_type.typing_type is pl.LazyFrame:
            return self._lake.scan(table, partitions)
        frames = self.frames(table.name, partitions)
        if context.dagster_type.typing_type is Frames:
            return frames
        return pl.concat(frames.values())

    def partitions(self, name: str) -> tuple[Partition, ...]:
        """Return the partitions that the lake has of an asset, in order."""
        return tuple(Partition(*at) for at in sorted(self._lake.partitions(self._tables[name])))

    def frames(self, name: str, partitions: tuple[Partition, ...]) -> Frames:
        """Return the frames of an asset in some partitions, each read at every access."""
        table = self._tables[name]
        return Frames(partitions, lambda partition: self._lake.read(table, *partition))

    def _begin_step(self, context: dg.InputContext | dg.OutputContext) -> None:
        """Forget what was read before this step."""
        if self._step() is not context.step_context:
            self._step = weakref.ref(context.step_context)
            self._lake.home_files.forget_reads()

    def _metadata(
        self, table: Table, frame: pl.DataFrame, path: Path, content: str
    ) -> dict[str, MetadataField]:
        return {
            **self._describe(table, frame),
            "path": dg.MetadataValue.path(path),
            CONTENT_KEY: content,
            DIGEST_KEY: digest_in_footer(path),
        }


def _all_rows(lake: Lake, table: Table) -> pl.LazyFrame | None:
    """Return the rows of all partitions; None if some are elsewhere or of another version.

    Their digests are not checked: the rows are counted for people, and make no other rows.
    """
    paths = [lake.path(table.name, *partition) for partition in lake.partitions(table)]
    is_whole = all(
        path.is_file() and pl.read_parquet_schema(path) == table.schema for path in paths
    )
    return pl.scan_parquet(paths) if is_whole else None


def _only(frame: pl.DataFrame, partitions: tuple[Partition, ...]) -> Frames:
    """Return a frame as that of the only partition."""
    assert len(partitions) == 1, f"one frame for {len(partitions)} partitions"
    return Frames(partitions, lambda _: frame)


def _partitions(context: dg.InputContext | dg.OutputContext) -> tuple[Partition, ...]:
    """Return the partitions in order: Dagster gives the keys of a range in no order."""
    return tuple(Partition.of(key) for key in sorted(context.asset_partition_keys))
