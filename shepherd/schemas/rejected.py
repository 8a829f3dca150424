"""Define the tables of input rows that could not be used."""

from dataclasses import replace

from shepherd.schemas.columns import DATASET, INT, TEXT
from shepherd.schemas.table import Column, Table

REJECTED = Table(
    "rejected",
    "one row per input row that could not be used",
    (
        DATASET,
        Column("file", TEXT, "name of the input file"),
        Column("line", INT, "line in that file, from 1"),
        Column("reason", TEXT, "what is wrong and with which field"),
        Column("content", TEXT, "the first 1,000 characters of the row"),
    ),
    ("dataset", "file", "line"),
)
"""The columns of the three tables of rejected rows."""

REJECTED_PROBLEMS = replace(
    REJECTED,
    name="rejected_problems",
    grain="one row per row of a file of problems that could not be used",
)
REJECTED_SOLUTIONS = replace(
    REJECTED,
    name="rejected_solutions",
    grain="one row per row of a file of solutions that could not be used",
)
REJECTED_LABELS = replace(
    REJECTED,
    name="rejected_labels",
    grain="one row per row of a file of labels that could not be used",
)
