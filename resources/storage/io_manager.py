"""Assets in, assets out: polars frames that lie in the lake, one Parquet file per partition."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import dagster as dg
import polars as pl

from resources.storage.lake import Lake
from shepherd.schemas import Table


class Partition(NamedTuple):
    """A cell of the partition grid."""

    dataset: str
    shard: str

    @classmethod
    def of(cls, key: str) -> "Partition":
        """Read a Dagster key, ``dataset|shard``."""
        return cls(*key.split("|"))

    @property
    def key(self) -> str:
        """The Dagster key: dimensions in the order of their names."""
        return f"{self.dataset}|{self.shard}"


@dataclass(frozen=True)
class Frames(Mapping[Partition, pl.DataFrame]):
    """One frame per partition of a run, made when it is asked for and not kept.

    A run over a range of partitions so holds one partition in memory at a time.
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
    """Keeps each asset in the lake table of its name.

    An output is a :class:`Frames` of the run's partitions, or a frame where there is one
    partition or none. An input annotated ``Frames`` comes partition by partition; one annotated
    ``pl.DataFrame`` comes as one frame of all its partitions, and one annotated ``pl.LazyFrame``
    as a plan that reads them. None of them may be missing.

    ``describe`` says what a materialization's metadata shall be, given the written frame;
    ``origin`` what the file of a partition shall keep of how it came to be; ``after_write`` is
    called with table and partition once the file is safe on disk.
    """

    def __init__(
        self,
        lake: Lake,
        tables: Mapping[str, Table],
        describe: Callable[[Table, pl.DataFrame], dict[str, Any]],
        origin: Callable[[str, Partition], Mapping[str, str]],
        after_write: Callable[[str, Partition], None],
    ) -> None:
        self._lake = lake
        self._tables = tables
        self._describe = describe
        self._origin = origin
        self._after_write = after_write

    def handle_output(self, context: dg.OutputContext, obj: Frames | pl.DataFrame) -> None:
        """Write each partition and attach its own metadata to its materialization."""
        table = self._tables[context.asset_key.path[-1]]
        if not context.has_asset_partitions:
            assert isinstance(obj, pl.DataFrame)
            path = self._lake.write(table, obj)
            context.add_output_metadata(
                {**self._describe(table, obj), "path": dg.MetadataValue.path(path)}
            )
            return
        keys = sorted(context.asset_partition_keys)
        partitions = tuple(Partition.of(key) for key in keys)
        if isinstance(obj, pl.DataFrame):
            assert len(partitions) == 1, f"one frame for {len(partitions)} partitions"
            frame = obj
            obj = Frames(partitions, lambda _: frame)
        for partition in partitions:
            frame = obj[partition]
            origin = self._origin(table.name, partition)
            path = self._lake.write(table, frame, *partition, metadata=origin)
            self._after_write(table.name, partition)
            dg.AssetExecutionContext.get().add_asset_metadata(
                {**self._describe(table, frame), "path": dg.MetadataValue.path(path)},
                asset_key=context.asset_key,
                partition_key=partition.key,
            )

    def load_input(self, context: dg.InputContext) -> Frames | pl.DataFrame | pl.LazyFrame:
        """Read the partitions that the run's partition maps to.

        Raises:
            ValueError: a partition was never written; the message names the asset.
        """
        table = self._tables[context.asset_key.path[-1]]
        if not context.has_asset_partitions:
            return self._lake.read(table)
        # Dagster gives a range's keys in no order.
        partitions = tuple(Partition.of(key) for key in sorted(context.asset_partition_keys))
        if context.dagster_type.typing_type is pl.LazyFrame:
            return self._lake.scan(table, partitions)
        frames = Frames(partitions, lambda partition: self._lake.read(table, *partition))
        if context.dagster_type.typing_type is Frames:
            return frames
        return pl.concat(frames.values())
