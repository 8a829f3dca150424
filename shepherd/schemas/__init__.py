"""Define the tables of the lake: their columns, types, meanings and keys.

Every frame is checked against its table when it is written and read, so stages and SQL queries
can rely on its columns.
"""

from shepherd.schemas.annotation import (
    ASKED_ROLLOUTS,
    CRITIQUES,
    PROBLEMS,
    ROLLOUTS,
    SEARCH_TREES,
    SOLUTIONS,
    STEPS,
)
from shepherd.schemas.costs import (
    CANDIDATE_COSTS,
    CRITIQUE_COSTS,
    ENTAILMENT_COSTS,
    ROLLOUT_COSTS,
    SOLUTION_COSTS,
)
from shepherd.schemas.labels import LABELED_SOLUTIONS, ORACLE_LABELS, STEP_LABELS, labels_table
from shepherd.schemas.pilot import PILOT_COSTS, PILOT_RATES, PILOT_ROLLOUTS
from shepherd.schemas.rejected import (
    REJECTED,
    REJECTED_LABELS,
    REJECTED_PROBLEMS,
    REJECTED_SOLUTIONS,
)
from shepherd.schemas.table import Column, Table, enforce, with_later_columns
from shepherd.schemas.verification import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EVALUATIONS,
    GREEDY_SOLUTIONS,
    HELD_OUT_SCORES,
    POLICY_EVALUATIONS,
)

__all__ = [
    "ASKED_ROLLOUTS",
    "CANDIDATES",
    "CANDIDATE_COSTS",
    "CANDIDATE_SCORES",
    "CRITIQUES",
    "CRITIQUE_COSTS",
    "ENTAILMENT_COSTS",
    "EVALUATIONS",
    "GREEDY_SOLUTIONS",
    "HELD_OUT_SCORES",
    "LABELED_SOLUTIONS",
    "ORACLE_LABELS",
    "PILOT_COSTS",
    "PILOT_RATES",
    "PILOT_ROLLOUTS",
    "POLICY_EVALUATIONS",
    "PROBLEMS",
    "REJECTED",
    "REJECTED_LABELS",
    "REJECTED_PROBLEMS",
    "REJECTED_SOLUTIONS",
    "ROLLOUTS",
    "ROLLOUT_COSTS",
    "SEARCH_TREES",
    "SOLUTIONS",
    "SOLUTION_COSTS",
    "STEPS",
    "STEP_LABELS",
    "TABLES",
    "Column",
    "Table",
    "enforce",
    "labels_table",
    "table_named",
    "with_later_columns",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        PROBLEMS,
        SOLUTIONS,
        STEPS,
        ROLLOUTS,
        ASKED_ROLLOUTS,
        SEARCH_TREES,
        PILOT_ROLLOUTS,
        PILOT_RATES,
        CRITIQUES,
        STEP_LABELS,
        ORACLE_LABELS,
        LABELED_SOLUTIONS,
        CANDIDATES,
        CANDIDATE_SCORES,
        HELD_OUT_SCORES,
        EVALUATIONS,
        GREEDY_SOLUTIONS,
        POLICY_EVALUATIONS,
        SOLUTION_COSTS,
        ROLLOUT_COSTS,
        CANDIDATE_COSTS,
        CRITIQUE_COSTS,
        PILOT_COSTS,
        ENTAILMENT_COSTS,
        REJECTED_PROBLEMS,
        REJECTED_SOLUTIONS,
        REJECTED_LABELS,
    )
}

_LABELS = "_labels"
"""Ends the name of the table of one annotator's labels."""


def table_named(name: str) -> Table | None:
    """Return the table of a name, which may be that of an annotator's labels, or None."""
    if name not in TABLES and name.endswith(_LABELS):
        return labels_table(name.removesuffix(_LABELS))
    return TABLES.get(name)
