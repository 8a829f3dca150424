from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks.claims import Claim, System, variation_of, weigh

PRM = System("generator", "PRM", 4)
SC = System("generator", "SC", 4)
CLAIM = Claim("table 1", "the PRM beats the vote", PRM, SC)


def outcomes(prm: list[float], sc: list[float], num_seeds: int = 2) -> pl.DataFrame:
    """Outcomes of as many problems as there are values, the same in each seed."""
    rows = [
        (seed, "generator", reward_models, method, 4, f"p{seed}-{index}", solved)
        for seed in range(num_seeds)
        for method, reward_models, values in (("PRM", "large", prm), ("SC", None, sc))
        for index, solved in enumerate(values)
    ]
    columns = ("seed", "generator", "reward_models", "method", "num_candidates", "problem_id",
               "solved")  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_a_clear_difference_is_reproduced_and_its_opposite_is_not():
    better = weigh(CLAIM, outcomes([1.0] * 30 + [0.0] * 10, [1.0] * 10 + [0.0] * 30))
    assert better.verdict == "reproduced"
    assert better.difference == pytest.approx(0.5)
    assert better.low < 0.5 < better.high
    assert better.by_seed == (0.5, 0.5)
    worse = weigh(CLAIM, outcomes([1.0] * 10 + [0.0] * 30, [1.0] * 30 + [0.0] * 10))
    assert worse.verdict == "not reproduced"


def test_a_difference_on_few_problems_is_inconclusive():
    assert weigh(CLAIM, outcomes([1.0, 0.0, 1.0], [0.0, 1.0, 0.5])).verdict == "inconclusive"


def test_what_four_of_many_problems_say_may_be_chance():
    agreed = [1.0] * 196
    finding = weigh(CLAIM, outcomes([*agreed, 1.0, 1.0], [*agreed, 0.0, 0.0]))
    assert finding.low > 0
    # Four coins fall alike in two of sixteen cases.
    assert finding.chance == pytest.approx(1 / 8, abs=0.02)
    assert finding.verdict == "inconclusive"


def test_what_is_expected_is_a_verdict_and_a_difference():
    measured = outcomes([1.0] * 30 + [0.0] * 10, [1.0] * 10 + [0.0] * 30)
    assert weigh(CLAIM, measured).as_expected is None
    assert weigh(replace(CLAIM, expected=0.5), measured).as_expected is True
    assert weigh(replace(CLAIM, expected=0.6), measured).as_expected is False


def test_outcomes_are_paired_by_problem_so_that_shared_difficulty_cancels():
    hard_and_easy = [0.0] * 50 + [1.0] * 50
    finding = weigh(CLAIM, outcomes([*hard_and_easy, 1.0], [*hard_and_easy, 0.0]))
    assert finding.high < 0.05


def test_the_same_outcomes_give_the_same_interval():
    measured = outcomes([1.0] * 30 + [0.0] * 10, [1.0] * 20 + [0.0] * 20)
    assert weigh(CLAIM, measured) == weigh(CLAIM, measured.sample(fraction=1.0, shuffle=True))


def test_systems_measured_on_other_problems_are_refused():
    measured = outcomes([1.0, 0.0], [0.0, 1.0]).filter(
        (pl.col("method") == "PRM") | (pl.col("problem_id") != "p0-0")
    )
    with pytest.raises(ValueError, match=r"PRM .large., N = 4 and generator, SC, N = 4 were not"):
        weigh(CLAIM, measured)


def test_variances_over_problems_and_over_seeds_are_told_apart_by_hand():
    # Means 0.5 and 0.1. Within: 4 x 0.25 and 4 x 0.01, over 8 - 2 degrees of freedom. Between: 4 x
    # 0.04 twice, over 1.
    found = variation_of([np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.2, 0.2])])
    within, between = (4 * 0.25 + 4 * 0.01) / 6, 2 * 4 * 0.04
    assert found.problem_deviation == pytest.approx(within**0.5)
    assert found.seed_deviation == pytest.approx(((between - within) / 4) ** 0.5)
    assert found.problem_error == pytest.approx((within / 8) ** 0.5)
    assert found.seed_error == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.3 - 12.706 * 0.2, 0.3 + 12.706 * 0.2))


def test_seeds_that_differ_as_problems_make_them_have_no_variance_of_their_own():
    rng = np.random.default_rng(0)
    same = [rng.normal(0.05, 0.4, 500) for _ in range(200)]
    other = [gain + rng.normal(0, 0.1) for gain in same]
    assert variation_of(same).seed_deviation < 0.02
    assert variation_of(other).seed_deviation == pytest.approx(0.1, abs=0.02)
    assert variation_of(other).problem_deviation == pytest.approx(0.4, abs=0.02)


def test_one_seed_says_nothing_about_others():
    found = variation_of([np.array([0.0, 1.0])])
    assert found.problem_deviation == pytest.approx(0.5**0.5)
    assert np.isnan([found.seed_deviation, found.seed_error, found.low, found.high]).all()
