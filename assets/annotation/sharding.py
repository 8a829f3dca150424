"""Distribute rows over shards, and count the input rows that were rejected."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import polars as pl

from resources.storage.io_manager import Frames, Partition
from shepherd.identity import content_id, shard_keys, shard_of
from shepherd.schemas import Table


def by_shard(rows: pl.DataFrame, ids: Iterable[str], num_shards: int) -> dict[str, pl.DataFrame]:
    """Return the rows of each shard in order, given the id of each row that is hashed."""
    shards = pl.Series([shard_of(name, num_shards) for name in ids], dtype=pl.String)
    return {shard: rows.filter(shards == shard) for shard in shard_keys(num_shards)}


def rejected_by_shard(rejected: pl.DataFrame, num_shards: int) -> dict[str, pl.DataFrame]:
    """Return the rejected rows of each shard: a row's file and line are hashed."""
    places = rejected.select("file", "line").iter_rows()
    return by_shard(rejected, (content_id(file, str(line)) for file, line in places), num_shards)


def rejected_frames(
    rejected: Mapping[str, pl.DataFrame], partitions: Sequence[Partition], num_shards: int
) -> Frames:
    """Return the rejected rows of a run's partitions, given those of each dataset."""
    shards = {dataset: rejected_by_shard(rows, num_shards) for dataset, rows in rejected.items()}
    return Frames(tuple(partitions), lambda at: shards[at.dataset][at.shard])


def count_rejected(
    context: dg.AssetExecutionContext, table: Table, dataset: str, rejected: pl.DataFrame
) -> None:
    """Add the number of a dataset's bad rows to the metadata.

    Rows whose question is a test question of another dataset are counted apart.
    """
    from resources.files.problems import TESTED_ELSEWHERE

    num_tested = rejected.filter(pl.col("reason").str.starts_with(TESTED_ELSEWHERE)).height
    add_counts(
        context,
        table,
        dataset,
        rejected_rows=rejected.height - num_tested,
        rows_tested_elsewhere=num_tested,
    )


def add_counts(
    context: dg.AssetExecutionContext, table: Table, dataset: str, **counts: int
) -> None:
    """Add numbers of a dataset's files to the metadata of each of its partitions."""
    for key in context.partition_keys:
        if Partition.of(key).dataset == dataset:
            context.add_asset_metadata(counts, asset_key=table.name, partition_key=key)
