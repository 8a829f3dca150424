"""Define the tables of verification: candidates, their scores, and accuracies."""

import polars as pl

from shepherd.schemas.columns import (
    ANSWER,
    DATASET,
    FINISH,
    FLOAT,
    GRADE_REASON,
    GRADED_COMPLETION,
    INT,
    IS_CORRECT,
    NUM_TOKENS,
    PROBLEM_ID,
    SOLUTION_ID,
    TEXT,
)
from shepherd.schemas.table import Column, Table

CANDIDATES = Table(
    "candidates",
    "one row per draw of a solution for a test problem (duplicates kept: they are votes)",
    (
        Column("candidate_id", TEXT, "content hash of problem, generator and draw index"),
        PROBLEM_ID,
        Column("generator", TEXT, "name of the model that sampled it"),
        Column("draw", INT, "index of the draw, from 0"),
        Column("text", TEXT, "the whole solution"),
        *GRADED_COMPLETION,
    ),
    ("candidate_id",),
)

REWARD_MODEL = Column("reward_model", TEXT, "outcome_reward_model or process_reward_model")
STEP_SCORES = Column(
    "step_scores",
    pl.List(pl.Float64()),
    "probability of + at each step (ORM: one); null if unread",
)

CANDIDATE_SCORES = Table(
    "candidate_scores",
    "one row per candidate and reward model",
    (
        Column("candidate_id", TEXT, "the scored candidate"),
        PROBLEM_ID,
        REWARD_MODEL,
        STEP_SCORES,
    ),
    ("candidate_id", "reward_model"),
)

HELD_OUT_SCORES = Table(
    "held_out_scores",
    "one row per labelled solution of a problem that was held out from training, and reward model",
    (
        SOLUTION_ID,
        PROBLEM_ID,
        REWARD_MODEL,
        STEP_SCORES,
    ),
    ("solution_id", "reward_model"),
)

EVALUATIONS = Table(
    "evaluations",
    "one row per dataset, generator, method and number of candidates",
    (
        DATASET,
        Column("generator", TEXT, "the model that drew the candidates"),
        Column("method", TEXT, "pass@1, SC, ORM, PRM, SC+ORM, SC+PRM, or pass@N (any right)"),
        Column("num_candidates", INT, "candidates per problem (N of best-of-N)"),
        Column(
            "accuracy",
            FLOAT,
            "share of problems solved, mean over subsets of N: all, or groups if votes",
        ),
        Column("low", FLOAT, "2.5 % bootstrap quantile over problems"),
        Column("high", FLOAT, "97.5 % bootstrap quantile over problems"),
        Column("num_problems", INT, "test problems"),
        Column("num_groups", INT, "groups of N averaged per problem: all subsets if no votes"),
        *(
            Column(name, FLOAT, meaning, nullable=True, added_later=True)
            for name, meaning in (
                ("gain", "accuracy less that of SC with as many candidates; null without SC"),
                ("gain_low", "2.5 % bootstrap quantile of that gain, paired over problems"),
                ("gain_high", "97.5 % bootstrap quantile of that gain, paired over problems"),
            )
        ),
    ),
    ("dataset", "generator", "method", "num_candidates"),
)

GREEDY_SOLUTIONS = Table(
    "greedy_solutions",
    "one row per test problem and model: its likeliest solution",
    (
        PROBLEM_ID,
        Column("generator", TEXT, "name of the generator or policy that solved it"),
        Column("text", TEXT, "the whole solution"),
        ANSWER,
        IS_CORRECT,
        GRADE_REASON,
        Column("num_steps", INT, "steps of the solution"),
        Column("num_repeated_steps", INT, "of these, steps that repeat an earlier one"),
        FINISH,
        NUM_TOKENS,
    ),
    ("problem_id", "generator"),
)

POLICY_EVALUATIONS = Table(
    "policy_evaluations",
    "one row per dataset and policy, generators included: its greedy solutions of test problems",
    (
        DATASET,
        Column("policy", TEXT, "name of the policy, or of a generator"),
        Column("start", TEXT, "generator that the policy started from; itself for a generator"),
        Column(
            "method",
            TEXT,
            "SFT, RFT, ORM-PPO, step-PPO, ORM-GRPO or step-GRPO; base if it is not fine-tuned",
        ),
        Column("accuracy", FLOAT, "share of problems solved greedily"),
        Column("low", FLOAT, "2.5 % bootstrap quantile over problems"),
        Column("high", FLOAT, "97.5 % bootstrap quantile over problems"),
        Column("gain", FLOAT, "accuracy less that of the start, on the same problems"),
        Column("gain_low", FLOAT, "2.5 % bootstrap quantile of the gain over problems"),
        Column("gain_high", FLOAT, "97.5 % bootstrap quantile of the gain over problems"),
        Column("num_problems", INT, "test problems"),
        Column("mean_tokens", FLOAT, "mean tokens of a solution"),
        Column("mean_steps", FLOAT, "mean steps of a solution"),
        Column("share_repeating", FLOAT, "share of solutions with a step that repeats another"),
        Column("share_cut", FLOAT, "share of solutions that reached the token limit"),
    ),
    ("dataset", "policy"),
)
