"""From rollouts to step labels (Math-Shepherd, arXiv 2312.08935, eq. 3 and 4)."""

from dataclasses import dataclass

import polars as pl

from shepherd.schemas import LABELED_SOLUTIONS, STEP_LABELS

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def monte_carlo_labels(
    steps: pl.DataFrame, rollouts: pl.DataFrame, solutions: pl.DataFrame
) -> pl.DataFrame:
    """Return the ``step_labels`` of the annotator ``monte_carlo``, one for each step, in order.

    hard: 1 if any rollout of the prefix is correct (eq. 3); soft: the share that is (eq. 4),
    with its Wilson interval. The last step takes the solution's own correctness, without
    rollouts and interval. A rollout that ended in an error counts as incorrect.

    Raises:
        ValueError: a step that is not the last has no rollouts.
    """
    outcomes = rollouts.group_by("prefix_id").agg(
        num_rollouts=pl.len().cast(pl.Int64),
        num_correct=pl.col("is_correct").sum().cast(pl.Int64),
    )
    joined = steps.join(outcomes, on="prefix_id", how="left", maintain_order="left").join(
        solutions.select("solution_id", "is_correct"),
        on="solution_id",
        how="left",
        maintain_order="left",
    )
    _require_rollouts(joined)
    assert joined["is_correct"].null_count() == 0
    is_last, own = pl.col("is_last"), pl.col("is_correct")
    n, c = pl.col("num_rollouts"), pl.col("num_correct")
    low, high = wilson_interval(c, n)
    none = pl.lit(0, pl.Int64)
    return joined.select(
        "step_id",
        annotator=pl.lit("monte_carlo"),
        num_rollouts=pl.when(is_last).then(none).otherwise(n),
        num_correct=pl.when(is_last).then(none).otherwise(c),
        hard=pl.when(is_last).then(own).otherwise(c > 0).cast(pl.Int64),
        soft=pl.when(is_last).then(own.cast(pl.Float64)).otherwise(c / n),
        low=pl.when(~is_last).then(low),
        high=pl.when(~is_last).then(high),
    ).select(STEP_LABELS.schema.keys())


def wilson_interval(successes: pl.Expr, trials: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return both ends of the 95 % Wilson score interval of a share (Wilson 1927)."""
    share = successes / trials
    scale = 1 + Z_95**2 / trials
    centre = (share + Z_95**2 / (2 * trials)) / scale
    margin = Z_95 * (share * (1 - share) / trials + Z_95**2 / (4 * trials**2)).sqrt() / scale
    # Rounding alone takes the ends past 0, 1 and the share itself.
    low = pl.min_horizontal((centre - margin).clip(0, 1), share)
    return low, pl.max_horizontal((centre + margin).clip(0, 1), share)


def labeled_solutions(
    solutions: pl.DataFrame, steps: pl.DataFrame, labels: pl.DataFrame, problems: pl.DataFrame
) -> pl.DataFrame:
    """Return ``labeled_solutions``: each solution that an annotator labelled, in solution order.

    Raises:
        ValueError: an annotator labelled some steps of a solution and not the others.
    """
    gathered = (
        labels.join(steps, on="step_id")
        .sort("solution_id", "annotator", "step_index")
        .group_by("solution_id", "annotator", maintain_order=True)
        .agg(pl.col("text").alias("steps"), "hard", "soft", num_steps=pl.col("num_steps").first())
    )
    partial = gathered.filter(pl.col("hard").list.len() != pl.col("num_steps"))
    if partial.height:
        solution_id, annotator = partial.row(0)[:2]
        raise ValueError(
            f"labels of {annotator}: {partial.height} solutions have unlabelled steps, first "
            f"{solution_id}: materialize the asset that writes them again, after steps"
        )
    return (
        solutions.select("solution_id", "problem_id", "is_correct")
        .join(problems.select("problem_id", "dataset", "question"), on="problem_id")
        .join(gathered, on="solution_id", maintain_order="left_right")
        .select(LABELED_SOLUTIONS.schema.keys())
    )


@dataclass(frozen=True)
class LabelAccuracy:
    """How hard labels compare with another annotator's, on steps that are not the last.

    A share over nothing is null.
    """

    num_steps: int
    agreement: float | None
    wrong_precision: float | None
    """Of the steps labelled wrong, the share that is wrong."""
    wrong_recall: float | None
    """Of the wrong steps, the share labelled wrong."""


def label_accuracy(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> LabelAccuracy:
    """Compare the hard labels of one annotator with those of another, the truth.

    Last steps are left out: they need no estimate. Steps that only one labelled are, too.
    """
    both = (
        steps.filter(~pl.col("is_last"))
        .select("step_id")
        .join(labels.select("step_id", labelled="hard"), on="step_id")
        .join(truth.select("step_id", true="hard"), on="step_id")
    )
    labelled_wrong, is_wrong = pl.col("labelled") == 0, pl.col("true") == 0
    agreement, precision, recall = both.select(
        agreement=(labelled_wrong == is_wrong).mean(),
        precision=is_wrong.filter(labelled_wrong).mean(),
        recall=labelled_wrong.filter(is_wrong).mean(),
    ).row(0)
    return LabelAccuracy(both.height, agreement, precision, recall)


def _require_rollouts(joined: pl.DataFrame) -> None:
    missing = joined.filter(~pl.col("is_last") & pl.col("num_rollouts").is_null())
    if missing.height:
        raise ValueError(
            f"rollouts: none for {missing.height} steps, first for prefix "
            f"{missing['prefix_id'][0]}: materialize the asset rollouts of this partition again"
        )
