"""How tables look on the console."""

from typing import Any

import polars as pl


def plain_tables(**options: Any) -> pl.Config:
    """Return the style of whole tables without lines; ``options`` are more of polars' own."""
    return pl.Config(
        tbl_formatting="NOTHING",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=120,
        thousands_separator=True,
        **options,
    )
