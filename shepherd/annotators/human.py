"""Published human ratings as step labels.

:func:`shepherd.label_formats.parse_prm800k` turns the ratings of PRM800K (arXiv 2305.20050) into
labels, as its paper does: +1 and 0 (neutral) are right, -1 is wrong, and a step that a labeller
wrote is right. Their probabilities are 1, 1/2, 0 and 1.
"""

import polars as pl

from shepherd.rollouts import steps_of
from shepherd.schemas import STEP_LABELS


def rated_steps(rated: pl.DataFrame) -> pl.DataFrame:
    """Return the ``steps`` of rated ``labeled_solutions``, cut as the labellers saw them."""
    return steps_of(rated.select("solution_id", "problem_id", "steps").iter_rows())


def human_labels(steps: pl.DataFrame, rated: pl.DataFrame) -> pl.DataFrame:
    """Return ``step_labels`` of the annotator ``human`` for the steps that are rated.

    Raises:
        ValueError: a rated solution is cut into other steps than those that were rated.
    """
    ratings = rated.select(
        "solution_id", "hard", "soft", step_index=pl.int_ranges(1, pl.col("hard").list.len() + 1)
    ).explode("hard", "soft", "step_index")
    counts = rated.select("solution_id", num_rated=pl.col("hard").list.len())
    differing = steps.join(counts, on="solution_id").filter(
        pl.col("num_steps") != pl.col("num_rated")
    )
    if differing.height:
        raise ValueError(
            f"steps: solution {differing['solution_id'][0]} has {differing['num_steps'][0]} steps "
            f"and {differing['num_rated'][0]} ratings: take the steps from rated_steps"
        )
    return (
        steps.join(ratings, on=["solution_id", "step_index"], maintain_order="left")
        .with_columns(
            annotator=pl.lit("human"),
            num_rollouts=pl.lit(0, pl.Int64),
            num_correct=pl.lit(0, pl.Int64),
            low=pl.lit(None, pl.Float64),
            high=pl.lit(None, pl.Float64),
        )
        .select(STEP_LABELS.schema.keys())
    )
