"""Describe tables for the UI: their columns, and the numbers of each materialization.

Numbers are plain floats and integers, so that the UI plots them over time.
"""

import dagster as dg
import polars as pl

from resources.storage.io_manager import MetadataField
from shepherd.dependencies import dependencies_of
from shepherd.schemas import STEP_LABELS, Table
from shepherd.settings import Settings

OWNERS = ["team:math-shepherd"]
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
    numbers: dict[str, float | int | None] = {}
    expressions = _LABELS if table.key == STEP_LABELS.key else _NUMBERS.get(table.name)
    if frame.height and expressions:
        numbers = frame.select(**expressions).row(0, named=True)
    return {
        "dagster/row_count": frame.height,
        **{name: round(value, 4) for name, value in numbers.items() if value is not None},
        "preview": dg.MetadataValue.md(preview(frame)),
    }


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
    "candidate_scores": {
        "mean_score": pl.col("step_scores").list.min().mean(),
        "unscored_steps": pl.col("step_scores")
        .list.eval(pl.element().null_count())
        .list.sum()
        .sum(),
    },
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
