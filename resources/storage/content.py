"""Identify frames by their content."""

from hashlib import blake2b

import polars as pl
import polars.selectors as cs

_ROWS = 65_536
"""Rows that are turned into text at a time."""
_DECIMALS = 9
"""Sums of floats differ in their last digits when rows are added in another order."""


def digest_of(frame: pl.DataFrame) -> str:
    """Return the blake2b hash of a frame's rows, in order: 16 hexadecimal digits.

    It depends on values alone: not on the layout in memory or the version of polars. Floats are
    rounded to nine decimals.
    """
    hashed = blake2b(digest_size=8)
    for rows in frame.iter_slices(_ROWS):
        rounded = rows.with_columns(
            cs.float().round(_DECIMALS),
            cs.by_dtype(pl.List(pl.Float64)).list.eval(pl.element().round(_DECIMALS)),
        )
        hashed.update(rounded.write_ndjson().encode())
    return hashed.hexdigest()
