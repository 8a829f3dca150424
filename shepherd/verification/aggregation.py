"""The score of a solution from the scores of its steps."""

from typing import Literal

import polars as pl

Aggregation = Literal["min", "last", "product", "mean"]


def aggregate(step_scores: pl.Series, how: Aggregation) -> pl.Series:
    """Return the score of each solution from the list of its step scores.

    The paper takes the minimum; later work finds the last step to rank better for Monte Carlo
    labels (arXiv 2501.07301), so it is a choice.

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
    finite = step_scores.list.eval(score.is_finite().fill_null(False)).list.all()
    usable = (step_scores.list.len() > 0) & finite
    if usable.sum() < len(step_scores):
        raise ValueError(
            f"step_scores: {len(step_scores) - usable.sum()} of {len(step_scores)} solutions have "
            "no score or one that is not a number: score them again"
        )
    return step_scores.list.eval(aggregated).list.first()
