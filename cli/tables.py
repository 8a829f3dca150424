"""How tables look on the console."""

import polars as pl

MAX_CHARACTERS = 60
"""Characters of a text cell that are printed."""


def plain_tables(float_precision: int | None = None) -> pl.Config:
    """Return a context in which polars prints whole tables without lines.

    ``float_precision`` is the number of decimals of floats; None prints up to six.
    """
    return pl.Config(
        tbl_formatting="NOTHING",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=120,
        thousands_separator=True,
        fmt_str_lengths=MAX_CHARACTERS,
        float_precision=float_precision,
    )
