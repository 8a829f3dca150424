"""Compare labels and assumed rates with right solutions, whose steps are nearly all right.

About 5 % of the right answers of GSM8K and 12 % of MATH follow from a wrong step (arXiv
2501.07301). So an annotator that calls many of their steps wrong is wrong itself.
"""

from dataclasses import dataclass

import polars as pl

from shepherd.annotators.rates import Rates


def share_wrong_of_right_solutions(
    labels: pl.DataFrame, steps: pl.DataFrame, solutions: pl.DataFrame
) -> dict[str, float]:
    """Return by annotator the share of the steps of right solutions that it labels wrong.

    Arguments are ``step_labels``, ``steps`` and ``solutions``. Last steps do not count, as their
    label is the answer's. An annotator that labels none of these steps is left out.
    """
    shares = (
        _inner_steps_of_right_solutions(steps, solutions)
        .join(labels, on="step_id")
        .group_by("annotator")
        .agg(share=(pl.col("hard") == 0).mean())
        .sort("annotator")
    )
    return dict(shares.iter_rows())


@dataclass(frozen=True)
class Success:
    """Rollouts of prefixes of right solutions: how many, the share right, the share expected."""

    num_rollouts: int
    share_correct: float | None
    expected: float | None


def success_of_right_solutions(
    counts: pl.DataFrame, steps: pl.DataFrame, solutions: pl.DataFrame, rates: Rates
) -> Success:
    """Return how often rollouts from prefixes of right solutions succeed, and what rates expect.

    ``counts`` has prefix_id, num_rollouts and num_correct. Shares are None without rollouts.
    """
    drawn = (
        _inner_steps_of_right_solutions(steps, solutions)
        .group_by("prefix_id")
        .agg(steps_left=(pl.col("num_steps") - pl.col("step_index")).mean())
        .join(counts.filter(pl.col("num_rollouts") > 0).unique("prefix_id"), on="prefix_id")
    )
    total = int(drawn["num_rollouts"].sum())
    if not total:
        return Success(0, None, None)
    means = (rates.weights @ rates.right_means(drawn["steps_left"].to_numpy())).tolist()
    expected = (pl.Series(means) * drawn["num_rollouts"]).sum() / total
    share_correct = int(drawn["num_correct"].sum()) / total
    return Success(total, share_correct, float(expected))


def _inner_steps_of_right_solutions(steps: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    right = solutions.filter("is_correct")
    return steps.filter(~pl.col("is_last")).join(right, on="solution_id", how="semi")
