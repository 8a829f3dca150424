import math
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.intervals import Z_95, wilson_interval


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_solve_the_score_equation(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = wilson_interval(successes, trials)
    share = successes / trials
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        score = Z_95 * math.sqrt(end * (1 - end) / trials)
        assert abs(share - end) == pytest.approx(score, abs=1e-9)


def test_z_is_the_normal_quantile() -> None:
    assert NormalDist().inv_cdf(0.975) == pytest.approx(Z_95, abs=1e-12)
