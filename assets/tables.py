"""Declare assets whose output is one or several tables of the lake."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TypeAlias, cast

import dagster as dg
import polars as pl

from assets.deployment import Deployment, partitions_of
from assets.describe import OWNERS, column_schema, provenance
from resources.storage.io_manager import Frames, Partition
from shepherd.dependencies import code_version
from shepherd.schemas import Table
from shepherd.settings import Settings

Rows: TypeAlias = Frames | pl.DataFrame
"""The rows of a table: a frame for each partition of the run, or one frame."""

Body: TypeAlias = Callable[..., Rows | Mapping[str, Rows]]


def table_asset(
    settings: Settings,
    table: Table,
    *,
    group: str,
    kinds: set[str],
    siblings: Sequence[Table] = (),
    is_partitioned: bool = True,
    ins: Mapping[str, dg.AssetIn] | None = None,
    deps: Sequence[str] = (),
    backfill_policy: dg.BackfillPolicy | None = None,
    pool: str | None = None,
    draws: bool = False,
) -> Callable[[Body], dg.AssetsDefinition]:
    """Decorate a function that returns the rows of a lake table.

    ``siblings`` are tables that the same function makes. It then returns rows by table name; a
    table that it leaves out is empty. Siblings are written before the table itself, because the
    journals of a partition are discarded once the file of ``table`` is written: a run that is
    killed between two files must find the journals again.

    With ``draws``, the function draws through the journals of its partition. It takes ``context``
    and ``deployment``, and no other run may draw there until all of its tables are written.

    The description in the UI is the table's grain and the function's docstring.
    """

    def decorate(body: Body) -> dg.AssetsDefinition:
        notes = dict.fromkeys(siblings, f"Written together with `{table.name}`.")
        notes[table] = inspect.getdoc(body) or ""
        return dg.multi_asset(
            name=table.name,
            outs={
                each.name: table_out(settings, each, note, group=group, kinds=kinds)
                for each, note in notes.items()
            },
            ins=ins or {},
            deps=deps,
            partitions_def=partitions_of(settings) if is_partitioned else None,
            backfill_policy=backfill_policy,
            pool=pool,
        )(_outputs_of(body, table, siblings, draws=draws))

    return decorate


def _outputs_of(
    body: Body, table: Table, siblings: Sequence[Table], *, draws: bool
) -> Callable[..., Iterator[dg.Output[Rows]]]:
    """Return a function that yields the rows of ``body`` as outputs, those of ``table`` last."""

    @wraps(body)
    def compute(*args: object, **inputs: object) -> Iterator[dg.Output[Rows]]:
        # Dagster writes an output before it takes the next one: the lock covers the writing.
        arguments = inspect.signature(body).bind(*args, **inputs).arguments
        written = [each.name for each in (*siblings, table)]
        with drawing(written, arguments) if draws else nullcontext():
            result = body(*args, **inputs)
            rows = cast("Mapping[str, Rows]", result if siblings else {table.name: result})
            for each in (*siblings, table):
                yield dg.Output(rows.get(each.name, each.empty()), each.name)

    del compute.__annotations__["return"]
    return compute


def drawing(tables: Sequence[str], arguments: Mapping[str, object]) -> AbstractContextManager[None]:
    """Return the lock of the partition in which a function draws, given its arguments."""
    context, deployment = arguments["context"], arguments["deployment"]
    assert isinstance(context, dg.AssetExecutionContext)
    assert isinstance(deployment, Deployment)
    return deployment.drawing(tables, Partition.of(context.partition_key))


def table_out(
    settings: Settings, table: Table, note: str, *, group: str, kinds: set[str]
) -> dg.AssetOut:
    """Return the output of a table. Its description is the table's grain, then ``note``."""
    return dg.AssetOut(
        description=f"{table.grain[0].upper()}{table.grain[1:]}.\n\n{note}",
        group_name=group,
        kinds={"parquet", *kinds},
        owners=OWNERS,
        tags={"stage": group},
        metadata={
            "dagster/column_schema": column_schema(table),
            **provenance(settings, table.name),
        },
        code_version=code_version(settings, table.name),
        key=table.name,
    )
