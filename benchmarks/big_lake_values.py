"""Random values of the big lake's rows: ids, and outcomes of draws."""

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from shepherd.schemas import TABLES


def graded(
    frame: pl.DataFrame, is_correct: npt.NDArray[np.bool_], rng: np.random.Generator
) -> pl.DataFrame:
    """Add answers, verdicts and token counts to rows that have a ``gold_answer``.

    2 % of the wrong rows reach the token limit, and grading of 0.1 % of the rows times out.
    """
    chance = pl.Series(rng.random(frame.height))
    wrong = pl.Series(-rng.integers(1, 40, frame.height)).cast(pl.String)
    frame = frame.with_columns(
        is_correct=pl.Series(is_correct),
        is_cut=(chance < 0.02) & ~pl.Series(is_correct),
        is_late=chance > 0.999,
    )
    return frame.with_columns(
        answer=pl.when("is_correct")
        .then("gold_answer")
        .otherwise(pl.when(~pl.col("is_cut")).then(wrong)),
        grade_reason=pl.when("is_correct")
        .then(pl.lit("exact"))
        .when("is_cut")
        .then(pl.lit("missing"))
        .when("is_late")
        .then(pl.lit("timeout"))
        .otherwise(pl.lit("different")),
        finish_reason=pl.when("is_cut").then(pl.lit("length")).otherwise(pl.lit("stop")),
        num_tokens=pl.Series(rng.integers(20, 400, frame.height)),
    )


def random_ids(count: int, rng: np.random.Generator) -> pl.Series:
    """Return random ids of 16 hexadecimal digits."""
    digits = rng.bytes(8 * count).hex().encode()
    ends = np.arange(0, 16 * count + 1, 16, dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(digits)]
    return pl.Series(pa.LargeStringArray.from_buffers(count, *buffers[1:]))


def of_table(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of a table in order; columns that the frame lacks are null, 0 or ""."""
    return frame.select(
        pl.col(column.name).cast(column.dtype)
        if column.name in frame.columns
        else pl.lit(
            None if column.nullable or column.dtype == pl.String() else 0, column.dtype
        ).alias(column.name)
        for column in TABLES[name].columns
    )
