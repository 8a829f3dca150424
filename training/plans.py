"""Read the rows of a plan as a stream."""

from collections.abc import Iterator
from typing import Any

import polars as pl


def rows(plan: pl.LazyFrame | pl.DataFrame | None, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of some columns, batch by batch; nothing where there is no plan."""
    if plan is not None:
        for batch in plan.lazy().select(columns).collect_batches():
            yield from batch.iter_rows()
