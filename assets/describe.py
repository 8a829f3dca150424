"""Describe tables for the UI: their columns, and the numbers of each materialization.

Numbers are plain floats and integers, so that the UI plots them over time.
"""

import dagster as dg
import polars as pl

from resources.storage.io_manager import ROW_COUNT, MetadataField
from shepherd.dependencies import dependencies_of
from shepherd.schemas import STEP_LABELS, Table
from shepherd.settings import Settings

OWNERS = ["team:math-shepherd"]
TOTAL = "all_partitions_"
"""Begins the name of a number over all partitions."""
SETTINGS_KEY = "settings"
"""The metadata field that holds the settings of a materialization, by dotted field."""


def column_schema(table: Table) -> dg.TableSchema:
    """Return the columns of a table and their meanings, for the Columns tab of the UI."""
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


def metadata_of(table: Table, frame: pl.DataFrame) -> dict[str, MetadataField]:
    """Return the metadata of a materialization: row count, numbers to plot and a preview."""
    return {
        ROW_COUNT: frame.height,
        **_numbers_of(table, frame.lazy()),
        "preview": dg.MetadataValue.md(preview(frame)),
    }


def totals_of(table: Table, rows: pl.LazyFrame) -> dict[str, MetadataField]:
    """Return the row count and the numbers over all partitions of a table.

    Those of the partition itself are beside them: Dagster shows the latest materialization of an
    asset, and without totals the numbers of one partition would look like the asset's.
    """
    numbers = _numbers_of(table, rows)
    return {
        ROW_COUNT: rows.select(pl.len()).collect().item(),
        **{f"{TOTAL}{name}": number for name, number in numbers.items()},
    }


def _numbers_of(table: Table, rows: pl.LazyFrame) -> dict[str, float]:
    """Return the numbers to plot of some rows; none if there are no rows."""
    expressions = _LABELS if table.key == STEP_LABELS.key else _NUMBERS.get(table.name)
    if not expressions:
        return {}
    counted = rows.select(rows_=pl.len(), **expressions).collect().row(0, named=True)
    if not counted.pop("rows_"):
        return {}
    return {name: round(value, 4) for name, value in counted.items() if value is not None}


def provenance(settings: Settings, asset: str) -> dict[str, MetadataField]:
    """Return the settings that an asset depends on, as metadata.

    The definition of an asset holds them, and so does each of its materializations: a later run
    compares the two to say which fields have changed.
    """
    return {SETTINGS_KEY: dg.MetadataValue.json(dependencies_of(settings, asset))}


_SAMPLED = {
    "share_correct": pl.col("is_correct").mean(),
    "share_without_answer": pl.col("answer").is_null().mean(),
    "share_truncated": (pl.col("finish_reason") == "length").mean(),
    "failed_requests": (pl.col("finish_reason") == "error").sum(),
    "mean_tokens": pl.col("num_tokens").mean(),
}
_SCORES = {
    "mean_score": pl.col("step_scores").list.min().mean(),
    "unscored_steps": pl.col("step_scores").list.eval(pl.element().null_count()).list.sum().sum(),
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
    "pilot_rollouts": {**_SAMPLED, "prefixes": pl.col("prefix_id").n_unique()},
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
    "candidate_scores": _SCORES,
    "held_out_scores": _SCORES,
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
"""The numbers to plot, by table."""


def preview(frame: pl.DataFrame, rows: int = 5, width: int = 80) -> str:
    """Return the first rows as a Markdown table.

    Cells are cut to ``width`` characters, and characters of Markdown and HTML are escaped.
    """
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
    shortened = text if len(text) <= width else text[: width - 1] + "…"
    return shortened.translate(_MARKUP)
