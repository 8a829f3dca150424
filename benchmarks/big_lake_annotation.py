"""The annotation of the big lake: rollouts, the requests of annotators, and their labels."""

import numpy as np
import polars as pl

from benchmarks.big_lake_values import graded

NUM_ROLLOUTS = 8
"""Rollouts of a prefix by one completer."""
COMPLETER = "completer"
SECOND_COMPLETER_EVERY = 4
"""The second completer continues one prefix in that many."""


def draw_rollouts(steps: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return rollouts without texts: of every prefix by one completer, of some by another."""
    prefixes = steps.filter(~pl.col("is_last")).unique("prefix_id", maintain_order=True)
    prefixes = prefixes.select("prefix_id", "problem_id", gold_answer=pl.lit("right"))
    success = np.where(rng.random(prefixes.height) < 0.35, 0.02, rng.beta(4, 2, prefixes.height))
    every = np.arange(prefixes.height)
    drawn = []
    for completer, chosen in ((COMPLETER, every), ("other", every[::SECOND_COMPLETER_EVERY])):
        rows = np.repeat(chosen, NUM_ROLLOUTS)
        drawn.append(
            graded(prefixes[rows], rng.random(rows.size) < success[rows], rng).with_columns(
                completer=pl.lit(completer),
                rollout_index=pl.Series(np.tile(np.arange(NUM_ROLLOUTS), chosen.size)),
                text=pl.lit(""),
            )
        )
    return pl.concat(drawn)


def count_asked(rollouts: pl.DataFrame) -> pl.DataFrame:
    """Return the requests of monte_carlo (all rollouts) and first_success (up to a success)."""
    every = rollouts.filter(completer=COMPLETER)
    earlier = pl.col("is_correct").cum_sum().over("prefix_id") - pl.col("is_correct")
    shown = {"monte_carlo": every, "first_success": every.filter(earlier == 0)}
    return pl.concat(
        of_annotator.group_by("prefix_id", "problem_id", maintain_order=True).agg(
            annotator=pl.lit(annotator),
            num_rollouts=pl.len(),
            num_correct=pl.col("is_correct").sum(),
            num_tokens=pl.col("num_tokens").sum(),
        )
        for annotator, of_annotator in shown.items()
    )


def label_steps(
    steps: pl.DataFrame, solutions: pl.DataFrame, rollouts: pl.DataFrame
) -> pl.DataFrame:
    """Return labels by monte_carlo and first_success from the first completer, and by people.

    People rate one solution in 16, and disagree about one step in 16.
    """
    outcomes = (
        rollouts.filter(completer=COMPLETER)
        .group_by("prefix_id")
        .agg(
            right=pl.col("is_correct").sum().cast(pl.Int64),
            needed=pl.col("rollout_index").filter("is_correct").min().fill_null(NUM_ROLLOUTS - 1)
            + 1,
        )
    )
    joined = steps.join(outcomes, on="prefix_id", how="left").join(
        solutions.select("solution_id", "is_correct"), on="solution_id"
    )
    stopped = _first_success(joined)
    is_rated, is_disputed = (pl.col(name).hash() % 16 == 0 for name in ("solution_id", "step_id"))
    rated = stopped.filter(joined.select(is_rated).to_series()).with_columns(
        annotator=pl.lit("human"),
        num_rollouts=pl.lit(0, pl.Int64),
        num_correct=pl.lit(0, pl.Int64),
        hard=pl.when(is_disputed).then(1 - pl.col("hard")).otherwise("hard"),
    )
    return pl.concat([_monte_carlo(joined), stopped, rated])


def _monte_carlo(joined: pl.DataFrame) -> pl.DataFrame:
    is_last, right = pl.col("is_last"), pl.col("right")
    soft = pl.when(is_last).then("is_correct").otherwise(right / NUM_ROLLOUTS).cast(pl.Float64)
    return joined.select(
        "step_id",
        annotator=pl.lit("monte_carlo"),
        num_rollouts=pl.when(is_last).then(0).otherwise(NUM_ROLLOUTS).cast(pl.Int64),
        num_correct=pl.when(is_last).then(0).otherwise(right),
        hard=_hard(),
        soft=soft,
        low=pl.when(~is_last).then((soft - 0.2).clip(0, 1)),
        high=pl.when(~is_last).then((soft + 0.2).clip(0, 1)),
    )


def _first_success(joined: pl.DataFrame) -> pl.DataFrame:
    is_last = pl.col("is_last")
    return joined.select(
        "step_id",
        annotator=pl.lit("first_success"),
        num_rollouts=pl.when(is_last).then(0).otherwise("needed"),
        num_correct=pl.when(is_last).then(0).otherwise(pl.col("right").clip(0, 1)),
        hard=_hard(),
        soft=pl.lit(None, pl.Float64),
        low=pl.lit(None, pl.Float64),
        high=pl.lit(None, pl.Float64),
    )


def _hard() -> pl.Expr:
    """Return hard estimation: the last step has its solution's verdict."""
    by_rollouts = pl.col("right") > 0
    return pl.when("is_last").then("is_correct").otherwise(by_rollouts).cast(pl.Int64)


def gather_labels(
    solutions: pl.DataFrame, steps: pl.DataFrame, labels: pl.DataFrame, train: pl.DataFrame
) -> pl.DataFrame:
    """Return one row a solution, with its steps and monte_carlo's labels as lists."""
    labels_of_solution = (
        labels.filter(annotator="monte_carlo")
        .join(steps, on="step_id")
        .sort("solution_id", "step_index")
        .group_by("solution_id", "annotator", maintain_order=True)
        .agg("hard", "soft", steps="text")
    )
    return labels_of_solution.join(solutions, on="solution_id").join(
        train.select("problem_id", "dataset", "question"), on="problem_id"
    )
