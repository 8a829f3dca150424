"""Metrics of step labels against the truth.

``labels`` are rows of ``step_labels``, ``steps`` is the table of that name. Metrics over steps
leave out last steps, which need no estimate, as :func:`shepherd.labels.label_accuracy` does.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shepherd.labels import label_accuracy
from shepherd.verification import count_unscored

NO_ERROR = -1
SURE = 0.99
"""Largest probability in the cross entropy. A mistake with probability 1 would be infinite."""


def first_errors(labels: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Return (solution_id, annotator, first_error) of each solution with labels of all its steps.

    ``first_error`` is the ``step_index`` (from 1) of the first step labelled wrong, or -1.
    """
    return (
        steps.join(labels.select("step_id", "annotator", "hard"), on="step_id")
        .group_by("solution_id", "annotator")
        .agg(
            first_error=pl.col("step_index").filter(pl.col("hard") == 0).min(),
            is_whole=pl.len() == pl.col("num_steps").first(),
        )
        .filter("is_whole")
        .select("solution_id", "annotator", pl.col("first_error").fill_null(NO_ERROR))
        .sort("solution_id", "annotator")
    )


@dataclass(frozen=True)
class FirstErrorAccuracy:
    """How well an annotator finds first errors, as in ProcessBench (arXiv 2412.06559).

    Shares are None where their denominator is 0, and so is ``f1``.
    """

    num_wrong: int
    """Solutions with an error."""
    num_right: int
    wrong_accuracy: float | None
    """Share of the solutions with an error for which the exact first wrong step is found."""
    right_accuracy: float | None
    """Share of the solutions without an error for which no error is found."""
    f1: float | None
    """Harmonic mean of the two accuracies."""


def first_error_accuracy(
    labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame
) -> FirstErrorAccuracy:
    """Compare an annotator with the truth, on solutions whose steps both label."""
    both = _both_first_errors(labels, truth, steps)
    return compare_first_errors(both["first_error"], both["other_error"])


def compare_first_errors(predicted: pl.Series, truth: pl.Series) -> FirstErrorAccuracy:
    """Compare first errors of the same solutions, each the index of a step or NO_ERROR.

    A prediction may be null: it is unknown, and not what the truth says.
    """
    same, has_error = (predicted == truth).fill_null(False), truth != NO_ERROR
    wrong, right = _mean(same.filter(has_error)), _mean(same.filter(~has_error))
    num_wrong, f1 = int(has_error.sum()), None
    if wrong is not None and right is not None:
        f1 = float(f1_of(wrong, right))
    return FirstErrorAccuracy(num_wrong, len(truth) - num_wrong, wrong, right, f1)


def f1_of(wrong_accuracy: ArrayLike, right_accuracy: ArrayLike) -> NDArray[np.float64]:
    """Return ProcessBench's F1: the harmonic mean of two accuracies, 0 if both are 0."""
    wrong, right = np.asarray(wrong_accuracy, np.float64), np.asarray(right_accuracy, np.float64)
    total = wrong + right
    f1: NDArray[np.float64] = 2 * wrong * right / np.where(total == 0, 1.0, total)
    return f1


def _mean(values: pl.Series) -> float | None:
    """Return the mean of booleans or numbers; None if there are none."""
    mean = values.mean()
    assert mean is None or isinstance(mean, float)
    return mean


def first_below(step_scores: pl.Series, threshold: float) -> pl.Series:
    """Return the index from 0 of each solution's first step that scores below, or NO_ERROR.

    A process reward model finds first errors in this way (ProcessBench, arXiv 2412.06559). It is
    null if no step scores below and some are unscored: these may hold the error.
    """
    below = pl.element().lt(threshold)
    first = step_scores.list.eval(below.arg_true().first()).list.first().cast(pl.Int64)
    is_known = pl.Series(count_unscored(step_scores) == 0)
    return pl.select(pl.coalesce(first, pl.when(is_known).then(NO_ERROR))).to_series()


def best_threshold(step_scores: pl.Series, truth: pl.Series) -> float:
    """Return the threshold (0.01 to 0.99) with the highest F1 of :func:`first_below`.

    The lowest of equal ones wins.

    ``truth`` is the index from 0 of each solution's first wrong step, or NO_ERROR.

    Raises:
        ValueError: all solutions have an error, or none has.
    """
    f1_by_threshold = {
        hundredth / 100: compare_first_errors(first_below(step_scores, hundredth / 100), truth).f1
        for hundredth in range(1, 100)
    }
    f1s = {threshold: f1 for threshold, f1 in f1_by_threshold.items() if f1 is not None}
    if not f1s:
        raise ValueError(
            "a threshold is chosen on solutions with and without an error: give more solutions "
            "or the threshold"
        )
    return max(f1s, key=lambda threshold: f1s[threshold])


def cross_entropy(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> float | None:
    """Return the mean of -log p(true label) in nats over soft labels p of one annotator.

    Labels are clipped to [1 - SURE, SURE]. None if no step but the last has a soft label.
    """
    soft = pl.col("soft").clip(1 - SURE, SURE)
    both = (
        steps.filter(~pl.col("is_last"))
        .select("step_id")
        .join(labels.select("step_id", soft), on="step_id")
        .join(truth.select("step_id", "hard"), on="step_id")
        .drop_nulls("soft")
    )
    losses = both.select(-pl.when(pl.col("hard") == 1).then(soft).otherwise(1 - soft).log())
    return _mean(losses.to_series())


def label_quality(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Return all metrics against the truth: one row per annotator, in order of appearance.

    The columns are the fields of :class:`shepherd.labels.LabelAccuracy` and
    :class:`FirstErrorAccuracy`, and ``cross_entropy``.
    """
    return pl.DataFrame(
        [
            {
                "annotator": str(name),
                **vars(label_accuracy(part, truth, steps)),
                **vars(first_error_accuracy(part, truth, steps)),
                "cross_entropy": cross_entropy(part, truth, steps),
            }
            for (name,), part in labels.group_by("annotator", maintain_order=True)
        ],
        schema_overrides=dict.fromkeys(_SHARES, pl.Float64()),
    )


_SHARES = (
    "agreement",
    "wrong_precision",
    "wrong_recall",
    "wrong_accuracy",
    "right_accuracy",
    "f1",
    "cross_entropy",
)


def _both_first_errors(
    labels: pl.DataFrame, others: pl.DataFrame, steps: pl.DataFrame
) -> pl.DataFrame:
    """Return (first_error, other_error) of the solutions whose steps both annotators label."""
    return (
        first_errors(labels, steps)
        .join(
            first_errors(others, steps).select("solution_id", other_error="first_error"),
            on="solution_id",
        )
        .select("first_error", "other_error")
    )
