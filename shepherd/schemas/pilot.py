"""Define the tables of the pilot: its rollouts, what they cost, and the rates learned from them."""

import polars as pl

from shepherd.schemas.annotation import ROLLOUTS
from shepherd.schemas.columns import BOOL, DATASET, FLOAT, INT
from shepherd.schemas.costs import ROLLOUT_COSTS
from shepherd.schemas.table import Column, Table

PILOT_ROLLOUTS = Table(
    "pilot_rollouts",
    "one row per completion drawn from a prefix of a problem of the pilot",
    ROLLOUTS.columns,
    ROLLOUTS.key,
)

PILOT_COSTS = Table(
    "pilot_costs", "one row per partition and completer", ROLLOUT_COSTS.columns, ROLLOUT_COSTS.key
)

PILOT_RATES = Table(
    "pilot_rates",
    "one row per annotated dataset",
    (
        DATASET,
        Column("num_pilot_problems", INT, "problems of the pilot that have solutions"),
        Column("num_pilot_rollouts", INT, "rollouts of the pilot"),
        Column(
            "success_rates",
            pl.List(pl.Float64()),
            "mean share of right rollouts from a right prefix, by difficulty",
        ),
        Column("weights", pl.List(pl.Float64()), "share of the problems with each difficulty"),
        Column(
            "of_each_step",
            BOOL,
            "whether a right prefix with k steps left succeeds with success_rates to the power k",
        ),
        Column("false_success_rate", FLOAT, "mean share of right rollouts from a wrong prefix"),
        Column("mending_rate", FLOAT, "probability that the step after a wrong one mends it"),
        Column(
            "right_concentration", FLOAT, "Beta concentration of success rates of right prefixes"
        ),
        Column(
            "wrong_concentration", FLOAT, "Beta concentration of success rates of wrong prefixes"
        ),
    ),
    ("dataset",),
)
