"""What every sampling asset does around its draws: open samplers, keep costs, tell numbers."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.deployment import Deployment
from resources.storage.io_manager import Partition
from shepherd.schemas import Table

if TYPE_CHECKING:
    from resources.sampling.stage import CompletionModel, Shard, StageOutput


def open_samplers(deployment: Deployment, names: Iterable[str]) -> "list[CompletionModel]":
    """Return the named models of the profile, ready to draw from.

    Raises:
        ValueError: one was not trained yet; the message names the asset to materialize.
    """
    from resources.sampling.stage import completion_model_of

    return [
        completion_model_of(
            name, deployment.model(name), deployment.checkpoint(name), deployment.settings.engine
        )
        for name in names
    ]


def shard_of_run(context: dg.AssetExecutionContext, deployment: Deployment) -> "Shard":
    """Return the partition that the run samples."""
    from resources.sampling.stage import Shard

    partition = Partition.of(context.partition_key)
    settings = deployment.settings
    return Shard(
        *partition,
        deployment.home.journals,
        settings.seed,
        settings.datasets[partition.dataset].splitting,
    )


def keep(
    context: dg.AssetExecutionContext,
    deployment: Deployment,
    costs_table: Table,
    drawn: "Sequence[StageOutput]",
) -> pl.DataFrame:
    """Write the costs of all models' draws beside the asset; return the draws as one frame."""
    costs = pl.concat(one.cost for one in drawn)
    deployment.lake.write(costs_table, costs, *Partition.of(context.partition_key))
    seconds, tokens = total(costs, "seconds"), total(costs, "completion_tokens")
    if seconds:
        add_numbers(context, engine_seconds=seconds, tokens_per_second=tokens / seconds)
    return pl.concat(one.frame for one in drawn)


def add_numbers(context: dg.AssetExecutionContext, **numbers: float) -> None:
    """Add numbers to the metadata of the partition that the run materializes."""
    rounded = {name: round(number, 2) for name, number in numbers.items()}
    context.add_asset_metadata(rounded, partition_key=context.partition_key)


def total(frame: pl.DataFrame, column: str) -> float:
    """Return the sum of a column of numbers."""
    return float(frame[column].sum())
