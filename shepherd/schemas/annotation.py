"""Define the tables of annotation: problems, solutions, steps, and what annotators draw."""

from shepherd.schemas.columns import (
    ANSWER,
    BOOL,
    DATASET,
    FINISH,
    GRADE_REASON,
    GRADED_COMPLETION,
    INT,
    IS_CORRECT,
    NUM_TOKENS,
    PREFIX_ID,
    PROBLEM_ID,
    SEED,
    SOLUTION_ID,
    STEP_ID,
    TEXT,
)
from shepherd.schemas.table import Column, Table

PROBLEMS = Table(
    "problems",
    "one row per math problem",
    (
        PROBLEM_ID,
        DATASET,
        Column("split", TEXT, "train or test"),
        Column("question", TEXT, "the problem statement"),
        Column(
            "gold_solution", TEXT, "the published solution, null if there is none", nullable=True
        ),
        Column("gold_answer", TEXT, "the published final answer"),
        Column("level", TEXT, "difficulty, null if unknown", nullable=True),
        Column("subject", TEXT, "subject, null if unknown", nullable=True),
    ),
    ("problem_id",),
)

SOLUTIONS = Table(
    "solutions",
    "one row per distinct solution sampled for a train problem by a generator",
    (
        SOLUTION_ID,
        PROBLEM_ID,
        Column("generator", TEXT, "name of the model that sampled it"),
        Column("text", TEXT, "the whole solution"),
        ANSWER,
        IS_CORRECT,
        GRADE_REASON,
        Column("num_samples", INT, "how often this text was drawn for this problem"),
        FINISH,
        NUM_TOKENS,
        SEED,
    ),
    ("solution_id",),
)

STEPS = Table(
    "steps",
    "one row per step of a solution",
    (
        STEP_ID,
        SOLUTION_ID,
        PROBLEM_ID,
        Column("step_index", INT, "position in the solution, from 1"),
        Column("num_steps", INT, "steps of the solution"),
        Column("text", TEXT, "the step with its closing separator: joined, they are the solution"),
        PREFIX_ID,
        Column("is_last", BOOL, "whether it is the solution's last step"),
    ),
    ("step_id",),
)

ROLLOUTS = Table(
    "rollouts",
    "one row per completion drawn from a distinct non-final prefix",
    (
        PREFIX_ID,
        PROBLEM_ID,
        Column("completer", TEXT, "name of the model that completed"),
        Column("rollout_index", INT, "index of the draw from this prefix, from 0"),
        Column("text", TEXT, "the continuation alone, without the prefix"),
        *GRADED_COMPLETION,
    ),
    ("prefix_id", "completer", "rollout_index"),
)

ASKED_ROLLOUTS = Table(
    "asked_rollouts",
    "one row per annotator and prefix of which it requested rollouts",
    (
        Column("annotator", TEXT, "the annotator; consensus for the two that it joins"),
        PREFIX_ID,
        PROBLEM_ID,
        Column("num_rollouts", INT, "completions requested: the first N of the prefix"),
        Column("num_correct", INT, "of these, how many ended in the gold answer"),
        Column("num_tokens", INT, "completion tokens of these"),
    ),
    ("annotator", "prefix_id"),
)

SEARCH_TREES = Table(
    "search_trees",
    "one row per state of the search tree of a problem, the root included",
    (
        PROBLEM_ID,
        PREFIX_ID,
        Column(
            "parent_id",
            TEXT,
            "prefix_id of the state that it was reached from; null: root",
            nullable=True,
        ),
        Column("discovery", INT, "position in the order of discovery, from 0: the root"),
        Column("prefix", TEXT, "the steps so far; empty for the root"),
        Column("num_rollouts", INT, "its completions; for the root, the solutions"),
        Column("num_correct", INT, "of these, how many ended in the gold answer"),
        Column("visits", INT, "searches that started from one of its rollouts"),
    ),
    ("problem_id", "prefix_id"),
)

CRITIQUES = Table(
    "critiques",
    "one row per vote of a judge on a solution",
    (
        SOLUTION_ID,
        PROBLEM_ID,
        Column("judge", TEXT, "name of the judge"),
        Column("vote", INT, "index of the vote, from 0"),
        Column("text", TEXT, "the whole critique"),
        Column(
            "first_error",
            INT,
            "step_index of the first step judged wrong, -1 if none; null if unparsable",
            nullable=True,
        ),
        FINISH,
        NUM_TOKENS,
        SEED,
    ),
    ("solution_id", "judge", "vote"),
)
