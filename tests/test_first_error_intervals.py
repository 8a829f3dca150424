"""Bootstrap intervals of first errors: paired, and over problems instead of solutions."""

import numpy as np
import polars as pl
import pytest

from shepherd.agreement import NO_ERROR, compare_first_errors, f1_of
from shepherd.first_error_intervals import interval, resample
from shepherd.intervals import bootstrap_weights

TRUTH = pl.Series([1, NO_ERROR, 2, NO_ERROR, 3, 1])
PREDICTED = pl.Series([1, NO_ERROR, 1, 2, None, 1])
PROBLEMS = pl.Series(["b", "b", "a", "c", "c", "a"])


def test_the_sample_itself_has_the_measures_of_process_bench() -> None:
    measured = resample(PREDICTED, TRUTH, PROBLEMS, np.ones((1, 3), np.int64))
    exact = compare_first_errors(PREDICTED, TRUTH)
    assert measured.wrong_accuracy == exact.wrong_accuracy == 0.5
    assert measured.right_accuracy == exact.right_accuracy == 0.5
    assert measured.f1 == exact.f1


def test_solutions_of_a_problem_stay_together() -> None:
    # Twice the problem a, without the others: both have an error, one is found.
    measured = resample(PREDICTED, TRUTH, PROBLEMS, np.array([[3, 0, 0]]))
    assert measured.wrong_accuracy == 0.5
    assert np.isnan(measured.right_accuracy).all()
    assert np.isnan(measured.f1).all()


def test_an_annotator_differs_from_itself_by_nothing() -> None:
    weights = bootstrap_weights("test", 3, num_resamples=500, seed=0)
    one, same = (resample(PREDICTED, TRUTH, PROBLEMS, weights) for _ in range(2))
    assert interval(one.f1 - same.f1) == (0.0, 0.0)
    low, high = interval(one.wrong_accuracy)
    assert low < 0.5 < high


def test_the_interval_has_the_width_of_the_normal_approximation() -> None:
    rng = np.random.default_rng(0)
    truth = pl.Series([1] * 400)
    predicted = pl.Series(np.where(rng.random(400) < 0.4, 1, 2))
    weights = bootstrap_weights("test", 400, num_resamples=4000, seed=0)
    problems = pl.Series([f"{n:03d}" for n in range(400)])
    low, high = interval(resample(predicted, truth, problems, weights).wrong_accuracy)
    share = (predicted == 1).mean()
    assert isinstance(share, float)
    margin = 1.96 * (share * (1 - share) / 400) ** 0.5
    assert low == pytest.approx(share - margin, abs=0.01)
    assert high == pytest.approx(share + margin, abs=0.01)


def test_f1_of_two_zeros_is_zero() -> None:
    assert f1_of(0.0, 0.0) == 0.0
    assert f1_of(0.5, 1.0) == pytest.approx(2 / 3)
