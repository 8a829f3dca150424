import math
from statistics import NormalDist

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.labels import (
    Z_95,
    LabelAccuracy,
    label_accuracy,
    labeled_solutions,
    monte_carlo_labels,
    wilson_interval,
)
from shepherd.rollouts import split_solutions
from shepherd.schemas import LABELED_SOLUTIONS, STEP_LABELS, enforce

A, B, C = (f"Step {k}: {k} + 1 = {k + 1}.\n" for k in range(1, 4))
PROBLEMS = pl.DataFrame({"problem_id": ["p"], "dataset": ["words"], "question": ["How many?"]})
SOLUTIONS = pl.DataFrame(
    {
        "solution_id": ["right", "wrong", "short"],
        "problem_id": ["p"] * 3,
        "text": [A + B, A + C + B, C],
        "is_correct": [True, False, True],
    }
)
STEPS = split_solutions(SOLUTIONS)


def rollouts_of(outcomes: dict[str, list[bool]]) -> pl.DataFrame:
    """Return rollouts of the prefixes (by text) with these outcomes."""
    ids = dict(
        zip(
            [A, A + B, A, A + C, A + C + B, C],
            STEPS["prefix_id"],
            strict=True,
        )
    )
    rows = [(ids[text], correct) for text, found in outcomes.items() for correct in found]
    return pl.DataFrame(
        rows, schema={"prefix_id": pl.String, "is_correct": pl.Boolean}, orient="row"
    )


ROLLOUTS = rollouts_of({A: [True, False, False, False], A + C: [False] * 4})


def test_monte_carlo_labels() -> None:
    labels = monte_carlo_labels(STEPS, ROLLOUTS, SOLUTIONS)
    assert enforce(STEP_LABELS, labels).equals(labels)
    assert labels["step_id"].equals(STEPS["step_id"])
    found = labels.select("num_rollouts", "num_correct", "hard", "soft").rows()
    assert found == [
        (4, 1, 1, 0.25),  # right: A
        (0, 0, 1, 1.0),  # right: its last step, by its own answer
        (4, 1, 1, 0.25),  # wrong: A, the same prefix
        (4, 0, 0, 0.0),  # wrong: A, C
        (0, 0, 0, 0.0),  # wrong: its last step
        (0, 0, 1, 1.0),  # short: its only step
    ]
    assert labels["low"].is_null().to_list() == [False, True, False, False, True, True]
    # Published values of Wilson's interval for 1 of 4 and 0 of 4.
    assert labels["low"][0] == pytest.approx(0.0456, abs=1e-4)
    assert labels["high"][0] == pytest.approx(0.6994, abs=1e-4)
    assert (labels["low"][3], labels["high"][3]) == (0, pytest.approx(0.4899, abs=1e-4))


def test_labels_do_not_depend_on_the_order_of_rollouts_and_keep_that_of_steps() -> None:
    labels = monte_carlo_labels(STEPS.reverse(), ROLLOUTS.reverse(), SOLUTIONS.reverse())
    assert labels.reverse().equals(monte_carlo_labels(STEPS, ROLLOUTS, SOLUTIONS))


def test_a_prefix_without_rollouts_is_named() -> None:
    missing = STEPS.filter(solution_id="wrong", step_index=2)["prefix_id"][0]
    with pytest.raises(ValueError, match=f"1 steps.*{missing}.*materialize the asset rollouts"):
        monte_carlo_labels(STEPS, rollouts_of({A: [True]}), SOLUTIONS)


def test_no_steps_give_no_labels() -> None:
    labels = monte_carlo_labels(STEPS.clear(), ROLLOUTS.clear(), SOLUTIONS)
    assert enforce(STEP_LABELS, labels).is_empty()


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_solve_the_score_equation(counts: tuple[int, int]) -> None:
    successes, trials = counts
    frame = pl.DataFrame({"c": [successes], "n": [trials]})
    low, high = frame.select(*map_names(wilson_interval(pl.col("c"), pl.col("n")))).row(0)
    share = successes / trials
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        score = Z_95 * math.sqrt(end * (1 - end) / trials)
        assert abs(share - end) == pytest.approx(score, abs=1e-9)


def map_names(interval: tuple[pl.Expr, pl.Expr]) -> list[pl.Expr]:
    return [end.alias(name) for end, name in zip(interval, ("low", "high"), strict=True)]


def test_z_is_the_normal_quantile() -> None:
    assert NormalDist().inv_cdf(0.975) == pytest.approx(Z_95, abs=1e-12)


def test_labeled_solutions_hold_their_steps_in_order() -> None:
    labels = monte_carlo_labels(STEPS, ROLLOUTS, SOLUTIONS)
    other = labels.filter(pl.col("step_id").is_in(STEPS.filter(solution_id="short")["step_id"]))
    both = pl.concat(
        [
            other.with_columns(annotator=pl.lit("human"), soft=pl.lit(None, pl.Float64)),
            labels.reverse(),
        ]
    )
    found = labeled_solutions(SOLUTIONS, STEPS.reverse(), both, PROBLEMS)
    assert enforce(LABELED_SOLUTIONS, found).equals(found)
    assert found.select("solution_id", "annotator", "steps", "hard", "soft").rows() == [
        ("right", "monte_carlo", [A, B], [1, 1], [0.25, 1.0]),
        ("wrong", "monte_carlo", [A, C, B], [1, 0, 0], [0.25, 0.0, 0.0]),
        ("short", "human", [C], [1], [None]),
        ("short", "monte_carlo", [C], [1], [1.0]),
    ]
    assert found["is_correct"].to_list() == [True, False, True, True]


def test_half_labelled_solution_is_refused() -> None:
    labels = monte_carlo_labels(STEPS, ROLLOUTS, SOLUTIONS).filter(
        pl.col("step_id") != STEPS.filter(solution_id="wrong")["step_id"][1]
    )
    with pytest.raises(ValueError, match=r"monte_carlo: 1 solutions have unlabelled steps.*wrong"):
        labeled_solutions(SOLUTIONS, STEPS, labels, PROBLEMS)


def test_accuracy_counts_steps_that_are_not_last() -> None:
    steps = pl.DataFrame({"step_id": list("abcdef"), "is_last": [False] * 5 + [True]})
    labels = pl.DataFrame({"step_id": list("abcdef"), "hard": [1, 1, 0, 0, 0, 0]})
    truth = pl.DataFrame({"step_id": list("fedcba"), "hard": [1, 0, 0, 1, 0, 1]})
    assert label_accuracy(labels, truth, steps) == LabelAccuracy(
        num_steps=5,
        agreement=3 / 5,
        wrong_precision=2 / 3,  # c, d and e are labelled wrong; d and e are
        wrong_recall=2 / 3,  # b, d and e are wrong; d and e are labelled so
    )


def test_accuracy_over_nothing_is_null() -> None:
    steps = pl.DataFrame({"step_id": ["a"], "is_last": [False]})
    right = pl.DataFrame({"step_id": ["a"], "hard": [1]})
    assert label_accuracy(right, right, steps) == LabelAccuracy(1, 1.0, None, None)
    assert label_accuracy(right.clear(), right, steps) == LabelAccuracy(0, None, None, None)
