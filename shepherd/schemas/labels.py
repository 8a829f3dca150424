"""Define the tables of step labels."""

from dataclasses import replace

import polars as pl

from shepherd.schemas.columns import (
    DATASET,
    FLOAT,
    INT,
    IS_CORRECT,
    PROBLEM_ID,
    SOLUTION_ID,
    STEP_ID,
    TEXT,
)
from shepherd.schemas.table import Column, Table

STEP_LABELS = Table(
    "step_labels",
    "one row per step and annotator",
    (
        STEP_ID,
        Column("annotator", TEXT, "monte_carlo, oracle, human, ..."),
        Column("num_rollouts", INT, "completions drawn; 0 if the label needed none"),
        Column("num_correct", INT, "of these, how many ended in the gold answer"),
        Column("hard", INT, "1 if right: for monte_carlo, any completion was correct (eq. 3)"),
        Column(
            "soft", FLOAT, "share of correct completions (eq. 4), or a probability", nullable=True
        ),
        Column("low", FLOAT, "lower end of the 95 % Wilson interval of soft", nullable=True),
        Column("high", FLOAT, "upper end of the 95 % Wilson interval of soft", nullable=True),
    ),
    ("step_id", "annotator"),
)

ORACLE_LABELS = replace(
    STEP_LABELS,
    name="oracle_labels",
    grain="one row per step of a solution of a word problem: the exact truth",
)


def labels_table(annotator: str) -> Table:
    """Return the table of one annotator's labels, before ``step_labels`` joins them."""
    return replace(
        STEP_LABELS, name=f"{annotator}_labels", grain=f"one row per step that {annotator} labels"
    )


LABELED_SOLUTIONS = Table(
    "labeled_solutions",
    "one row per solution and annotator: what training reads",
    (
        SOLUTION_ID,
        PROBLEM_ID,
        DATASET,
        Column("annotator", TEXT, "the annotator of the labels"),
        Column("question", TEXT, "the problem statement"),
        Column("steps", pl.List(pl.String()), "texts of the steps in order"),
        Column("hard", pl.List(pl.Int64()), "hard label of each step"),
        Column("soft", pl.List(pl.Float64()), "soft label of each step"),
        IS_CORRECT,
    ),
    ("solution_id", "annotator"),
)
