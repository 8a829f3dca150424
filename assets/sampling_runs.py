"""Open samplers for sampling assets, and return their draws with the costs."""

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
    """Return models to draw from, by name. Weights are loaded when an engine is opened.

    Raises:
        ValueError: a model is not trained yet; the message names the asset to materialize.
    """
    from resources.sampling.stage import completion_model_of

    return [
        completion_model_of(
            name,
            deployment.model(name),
            deployment.checkpoint(name),
            deployment.settings.engine,
            log=deployment.home.engine_log,
        )
        for name in names
    ]


def shard_of_run(context: dg.AssetExecutionContext, deployment: Deployment) -> "Shard":
    """Return the shard that the run samples."""
    from resources.sampling.stage import Shard

    partition = Partition.of(context.partition_key)
    settings = deployment.settings
    return Shard(
        *partition,
        deployment.home.journals,
        settings.seed,
        settings.datasets[partition.dataset].splitting,
        deployment.home.files,
    )


def draws_and_costs(
    context: dg.AssetExecutionContext,
    table: Table,
    costs_table: Table,
    draws: "Sequence[StageOutput]",
) -> dict[str, pl.DataFrame]:
    """Return the draws of all models and their costs by table name.

    The engine's speed is added to the metadata of ``table``.
    """
    costs = pl.concat(each.cost for each in draws)
    seconds, tokens = total(costs, "seconds"), total(costs, "completion_tokens")
    if seconds:
        add_numbers(context, table, engine_seconds=seconds, tokens_per_second=tokens / seconds)
    return {table.name: pl.concat(each.frame for each in draws), costs_table.name: costs}


def add_numbers(context: dg.AssetExecutionContext, table: Table, **numbers: float) -> None:
    """Add numbers to the metadata of the partition that the run materializes."""
    rounded = {name: round(number, 2) for name, number in numbers.items()}
    context.add_asset_metadata(rounded, asset_key=table.name, partition_key=context.partition_key)


def total(frame: pl.DataFrame, column: str) -> float:
    """Return the sum of a column of numbers."""
    return float(frame[column].sum())
