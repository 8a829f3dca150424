import polars as pl
import pytest

from shepherd.labels import LabelAccuracy, label_accuracy, labeled_solutions
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


LABELS = pl.DataFrame(
    [
        (step_id, "monte_carlo", 4, int(4 * soft), int(soft > 0), soft, None, None)
        for step_id, soft in zip(STEPS["step_id"], (0.25, 1.0, 0.25, 0.0, 0.0, 1.0), strict=True)
    ],
    schema=STEP_LABELS.schema,
    orient="row",
)


def test_labeled_solutions_hold_their_steps_in_order() -> None:
    other = LABELS.filter(pl.col("step_id").is_in(STEPS.filter(solution_id="short")["step_id"]))
    both = pl.concat(
        [
            other.with_columns(annotator=pl.lit("human"), soft=pl.lit(None, pl.Float64)),
            LABELS.reverse(),
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
    labels = LABELS.filter(pl.col("step_id") != STEPS.filter(solution_id="wrong")["step_id"][1])
    with pytest.raises(ValueError, match=r"monte_carlo: 1 solutions have unlabelled steps.*wrong"):
        labeled_solutions(SOLUTIONS, STEPS, labels, PROBLEMS)


def test_labels_of_steps_that_are_not_there_are_refused() -> None:
    steps = STEPS.with_columns(pl.col("step_id") + "x")
    with pytest.raises(ValueError, match=r"monte_carlo: 6 are of .* do not exist, first right:1"):
        labeled_solutions(SOLUTIONS, steps, LABELS, PROBLEMS)


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
