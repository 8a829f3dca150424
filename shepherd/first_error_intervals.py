"""Bootstrap intervals of how well first errors are found, over problems.

A resample draws problems, so that the solutions of one problem stay together. Annotators that are
measured with the same resamples can be compared pair by pair.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shepherd.agreement import NO_ERROR, f1_of

Floats = NDArray[np.float64]

_COUNTS = ("wrong_found", "wrong", "right_found", "right")


@dataclass(frozen=True)
class Resampled:
    """The measures of :class:`shepherd.agreement.FirstErrorAccuracy` in each resample.

    Each is (resamples,), and NaN in a resample without such solutions.
    """

    wrong_accuracy: Floats
    right_accuracy: Floats
    f1: Floats


def resample(
    predicted: pl.Series, truth: pl.Series, problem_ids: pl.Series, weights: NDArray[np.int64]
) -> Resampled:
    """Compute the measures of first errors in each resample of problems.

    The series are parallel, one value a solution, as in
    :func:`shepherd.agreement.compare_first_errors`. ``weights`` is
    (resamples, distinct problems), of :func:`shepherd.intervals.bootstrap_weights`; its columns
    are the problems in the order of their ids.
    """
    has_error, is_found = truth != NO_ERROR, (predicted == truth).fill_null(False)
    by_problem = (
        pl.DataFrame(
            {
                "problem_id": problem_ids,
                "wrong_found": has_error & is_found,
                "wrong": has_error,
                "right_found": ~has_error & is_found,
                "right": ~has_error,
            }
        )
        .group_by("problem_id")
        .agg(pl.col(_COUNTS).sum())
        .sort("problem_id")
    )
    counts = weights @ by_problem.select(_COUNTS).to_numpy().astype(np.float64)
    wrong, right = _shares(counts[:, 0], counts[:, 1]), _shares(counts[:, 2], counts[:, 3])
    return Resampled(wrong, right, f1_of(wrong, right))


def interval(resampled: Floats) -> tuple[float, float]:
    """Return both ends of the 95 % percentile interval; resamples that are NaN do not count."""
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def _shares(parts: Floats, totals: Floats) -> Floats:
    return np.divide(parts, totals, out=np.full_like(parts, np.nan), where=totals > 0)
