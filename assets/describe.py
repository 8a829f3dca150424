"""What the UI shows of a dataset: its grain and columns, and at each materialization its numbers.

Numbers are plain, so that the UI plots them over time.
"""

import inspect
from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from assets.deployment import PARTITIONS
from shepherd.schemas import STEP_LABELS, Table

OWNERS = ["team:math-shepherd"]


def table_asset(
    table: Table,
    *,
    group: str,
    kinds: set[str],
    partitioned: bool = True,
    backfill_policy: dg.BackfillPolicy | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate a function that returns the frames of a lake table.

    The description states the table's grain, then the function's docstring.
    """

    def decorate(body: Callable[..., Any]) -> dg.AssetsDefinition:
        decorated: dg.AssetsDefinition = dg.asset(
            name=table.name,
            description=f"{table.grain[0].upper()}{table.grain[1:]}.\n\n{inspect.getdoc(body)}",
            group_name=group,
            kinds={"parquet", *kinds},
            owners=OWNERS,
            tags={"stage": group},
            metadata={"dagster/column_schema": column_schema(table)},
            partitions_def=PARTITIONS if partitioned else None,
            backfill_policy=backfill_policy,
            **options,
        )(body)
        return decorated

    return decorate


def column_schema(table: Table) -> dg.TableSchema:
    """Return the table's columns with their meaning, as the UI's Columns tab shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=str(column.dtype),
                description=column.meaning,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=table.key == (column.name,)
                ),
            )
            for column in table.columns
        ]
    )


def describe(table: Table, frame: pl.DataFrame) -> dict[str, Any]:
    """Return the metadata of one materialization: row count, the numbers to watch, a preview."""
    numbers: dict[str, float | int | None] = {}
    watched = _LABELS if table.key == STEP_LABELS.key else _NUMBERS.get(table.name)
    if frame.height and watched:
        numbers = frame.select(**watched).row(0, named=True)
    return {
        "dagster/row_count": frame.height,
        **{name: round(value, 4) for name, value in numbers.items() if value is not None},
        "preview": dg.MetadataValue.md(preview(frame)),
    }


_SAMPLED = {
    "share_correct": pl.col("is_correct").mean(),
    "share_without_answer": pl.col("answer").is_null().mean(),
    "share_truncated": (pl.col("finish_reason") == "length").mean(),
    "failed_requests": (pl.col("finish_reason") == "error").sum(),
    "mean_tokens": pl.col("num_tokens").mean(),
}
_LABELS = {
    "share_hard": pl.col("hard").mean(),
    "mean_soft": pl.col("soft").mean(),
}
_NUMBERS: dict[str, dict[str, pl.Expr]] = {
    "problems": {"train_problems": (pl.col("split") == "train").sum()},
    "solutions": {
        **_SAMPLED,
        "share_correct": (pl.col("is_correct") * pl.col("num_samples")).sum()
        / pl.col("num_samples").sum(),
        "draws": pl.col("num_samples").sum(),
    },
    "candidates": _SAMPLED,
    "rollouts": {**_SAMPLED, "prefixes": pl.col("prefix_id").n_unique()},
    "critiques": {
        "share_unparsable": pl.col("first_error").is_null().mean(),
        "share_truncated": _SAMPLED["share_truncated"],
        "failed_requests": _SAMPLED["failed_requests"],
        "mean_tokens": _SAMPLED["mean_tokens"],
        "unjudged_solutions": pl.col("solution_id").n_unique()
        - pl.col("solution_id").filter(pl.col("first_error").is_not_null()).n_unique(),
    },
    "steps": {
        "solutions": pl.col("solution_id").n_unique(),
        "mean_steps": pl.len() / pl.col("solution_id").n_unique(),
        "distinct_prefixes": pl.col("prefix_id").n_unique(),
    },
    "labeled_solutions": {"mean_steps": pl.col("steps").list.len().mean()},
    "candidate_scores": {"mean_score": pl.col("step_scores").list.min().mean()},
    "greedy_solutions": {
        **_SAMPLED,
        "mean_steps": pl.col("num_steps").mean(),
        "share_repeating": (pl.col("num_repeated_steps") > 0).mean(),
    },
    "policy_evaluations": {
        "best_accuracy": pl.col("accuracy").max(),
        "best_gain": pl.col("gain").max(),
    },
    "evaluations": {"best_accuracy": pl.col("accuracy").max()},
}
"""The numbers to watch, by table."""


def preview(frame: pl.DataFrame, rows: int = 5, width: int = 80) -> str:
    """Return the first rows as a markdown table; cells are cut and hold no markup."""
    lines = [
        "| " + " | ".join(frame.columns) + " |",
        "|" + " --- |" * frame.width,
    ]
    for row in frame.head(rows).iter_rows():
        lines.append("| " + " | ".join(_cell(value, width) for value in row) + " |")
    return "\n".join(lines)


_MARKUP = str.maketrans({character: f"&#{ord(character)};" for character in "&<>|`*_[]!\\~#$"})


def _cell(value: object, width: int) -> str:
    text = " ".join(str(value).split())
    cut = text if len(text) <= width else text[: width - 1] + "…"
    return cut.translate(_MARKUP)
