"""The score of a solution from the scores of its steps."""

from typing import Literal

import polars as pl

Aggregation = Literal["min", "last", "product", "mean"]
"""The way to turn step scores into one score."""


def aggregate(step_scores: pl.Series, how: Aggregation) -> pl.Series:
    """Return the score of each solution from the list of its step scores.

    The paper takes the minimum. Later work finds that the last step ranks better with Monte Carlo
    labels (arXiv 2501.07301). A solution with an unscored step (null) has no score: those of the
    steps before would be too good.

    Raises:
        ValueError: a solution has no step scores, or one that is not a number.
    """
    score = pl.element()
    aggregated = {
        "min": score.min(),
        "last": score.last(),
        "product": score.product(),
        "mean": score.mean(),
    }[how]
    finite = step_scores.list.eval(score.is_finite().fill_null(True)).list.all()
    usable = (step_scores.list.len() > 0).fill_null(False) & finite.fill_null(False)
    if usable.sum() < len(step_scores):
        raise ValueError(
            f"step_scores: {len(step_scores) - usable.sum()} of {len(step_scores)} solutions have "
            "no score or one that is not a number: score them again"
        )
    aggregated = pl.when(score.null_count() == 0).then(aggregated)
    return step_scores.list.eval(aggregated).list.first()


def count_unscored(step_scores: pl.Series) -> pl.Series:
    """Return the number of unscored steps (null) of each solution, (solutions,)."""
    return step_scores.list.eval(pl.element().null_count()).list.first().fill_null(0)
