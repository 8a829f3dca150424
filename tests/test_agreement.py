"""Measures of labels against the truth, the consensus of two and the ratings of people."""

from math import log

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.agreement import (
    FirstErrorAccuracy,
    best_threshold,
    compare_first_errors,
    cross_entropy,
    first_below,
    first_error_accuracy,
    first_errors,
    label_quality,
)
from shepherd.annotators.consensus import consensus_labels
from shepherd.annotators.human import human_labels, rated_steps
from shepherd.label_formats import labeled_frame, parse_prm800k
from shepherd.labels import LabelAccuracy, label_accuracy
from shepherd.schemas import STEP_LABELS, STEPS, enforce

Hard = dict[str, list[int]]
"""Hard labels by solution."""


def steps_of(hard: Hard) -> pl.DataFrame:
    rows = [
        (f"{name}{index}", name, "p", index, len(labels), "x", "x", index == len(labels))
        for name, labels in hard.items()
        for index in range(1, len(labels) + 1)
    ]
    return pl.DataFrame(rows, schema=STEPS.schema, orient="row")


def labels_of(
    hard: Hard, annotator: str = "a", soft: dict[str, float] | None = None
) -> pl.DataFrame:
    rows = [
        (f"{name}{index}", annotator, 0, 0, label, (soft or {}).get(f"{name}{index}"), None, None)
        for name, labels in hard.items()
        for index, label in enumerate(labels, start=1)
    ]
    return pl.DataFrame(rows, schema=STEP_LABELS.schema, orient="row")


TRUTH: Hard = {"s": [1, 1, 0, 0], "t": [1, 0], "u": [1, 1], "v": [0, 0, 0]}
FOUND: Hard = {"s": [1, 0, 0, 0], "t": [1, 0], "u": [1, 1], "v": [0, 1, 1]}
STEPS_OF_ALL = steps_of(TRUTH)


def test_first_errors_are_step_indices_of_whole_solutions() -> None:
    labels = pl.concat([labels_of(FOUND), labels_of({"s": [1, 1], "u": [1, 1]}, "b")])
    assert first_errors(labels.reverse(), STEPS_OF_ALL).rows() == [
        ("s", "a", 2),
        ("t", "a", 2),
        ("u", "a", -1),
        ("u", "b", -1),
        ("v", "a", 1),
    ]


def test_first_error_accuracy_is_that_of_processbench() -> None:
    found = first_error_accuracy(labels_of(FOUND), labels_of(TRUTH), STEPS_OF_ALL)
    assert found == FirstErrorAccuracy(3, 1, 2 / 3, 1.0, pytest.approx(0.8))


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ({"s": [1, 1]}, {"s": [1, 1]}, FirstErrorAccuracy(0, 1, None, 1.0, None)),
        ({"s": [0, 0]}, {"s": [1, 0]}, FirstErrorAccuracy(1, 0, 0.0, None, None)),
        (
            {"s": [0, 0], "t": [1]},
            {"s": [1, 0], "t": [0]},
            FirstErrorAccuracy(1, 1, 0.0, 0.0, 0.0),
        ),
        ({"s": [0, 0]}, {}, FirstErrorAccuracy(0, 0, None, None, None)),
    ],
)
def test_first_error_accuracy_over_nothing_is_null(
    truth: Hard, found: Hard, expected: FirstErrorAccuracy
) -> None:
    assert first_error_accuracy(labels_of(found), labels_of(truth), steps_of(truth)) == expected


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=4), min_size=1, max_size=5))
def test_the_truth_itself_is_perfect(solutions: list[list[int]]) -> None:
    hard = {f"s{index}": labels for index, labels in enumerate(solutions)}
    found = first_error_accuracy(labels_of(hard), labels_of(hard), steps_of(hard))
    assert found.wrong_accuracy in (None, 1.0)
    assert found.right_accuracy in (None, 1.0)


def test_cross_entropy_is_over_steps_with_a_soft_label_but_the_last() -> None:
    soft = {"s1": 0.5, "s2": 0.9, "s3": 0.2, "s4": 0.0, "t1": 0.0, "u2": 0.3}
    expected = -(log(0.5) + log(0.9) + log(0.8) + log(0.01)) / 4
    labels = labels_of(FOUND, soft=soft)
    assert cross_entropy(labels, labels_of(TRUTH), STEPS_OF_ALL) == pytest.approx(expected)
    assert cross_entropy(labels_of(FOUND), labels_of(TRUTH), STEPS_OF_ALL) is None


def test_label_quality_has_a_row_for_each_annotator() -> None:
    truth = labels_of(TRUTH, "oracle")
    labels = pl.concat([labels_of(FOUND, "b"), labels_of(TRUTH, "a", soft={"s1": 0.5})])
    found = label_quality(labels, truth, STEPS_OF_ALL)
    assert found["annotator"].to_list() == ["b", "a"]
    assert found["agreement"].to_list() == [5 / 7, 1.0]
    assert found["f1"].to_list() == pytest.approx([0.8, 1.0])
    assert found["cross_entropy"].to_list() == [None, pytest.approx(log(2))]
    assert label_accuracy(labels_of(FOUND), truth, STEPS_OF_ALL) == LabelAccuracy(
        *found.row(0)[1:5]
    )


def test_consensus_keeps_the_first_ones_labels_where_first_errors_agree() -> None:
    first = labels_of(FOUND, "monte_carlo", soft={"u1": 0.75})
    second = labels_of(TRUTH, "judge")
    agreed = enforce(STEP_LABELS, consensus_labels(first, second, STEPS_OF_ALL))
    assert agreed["step_id"].to_list() == ["t1", "t2", "u1", "u2", "v1", "v2", "v3"]
    assert agreed["hard"].to_list() == [1, 0, 1, 1, 0, 1, 1]
    assert agreed["soft"].to_list()[2] == 0.75
    assert set(agreed["annotator"]) == {"consensus"}
    partial = second.filter(pl.col("step_id") != "u2")
    assert "u1" not in consensus_labels(first, partial, STEPS_OF_ALL)["step_id"]


RATED = labeled_frame(
    parse_prm800k(
        {
            "problem": "How many?",
            "steps": [
                [{"text": "a", "rating": 0, "chosen": True}, {"text": "b", "rating": -1}],
                [{"text": "c", "rating": None, "human": True, "chosen": True}],
                [{"text": "d", "rating": 1, "chosen": True, "is_final": True, "answer": "4"}],
            ],
        }
    ),
    annotator="human",
    dataset="prm800k",
)


def test_neutral_ratings_and_human_steps_are_right() -> None:
    steps = enforce(STEPS, rated_steps(RATED))
    labels = enforce(STEP_LABELS, human_labels(steps.reverse(), RATED)).reverse()
    assert labels["step_id"].to_list() == steps["step_id"].to_list()
    assert list(zip(steps["text"], labels["hard"], labels["soft"], strict=True)) == [
        ("b", 0, 0.0),
        ("a\n", 1, 0.5),
        ("c\n", 1, 1.0),
        ("d\n\n# Answer\n\n4", 1, 1.0),
    ]
    assert steps.filter("is_last")["text"].to_list() == ["b", "d\n\n# Answer\n\n4"]


def test_ratings_of_other_steps_are_refused() -> None:
    steps = rated_steps(RATED).with_columns(pl.col("num_steps") + 1)
    with pytest.raises(ValueError, match=r"steps and \d ratings: take the steps from rated_steps"):
        human_labels(steps, RATED)


def test_a_solution_that_nobody_rated_has_no_labels() -> None:
    steps = rated_steps(RATED)
    first, second = RATED.head(1), RATED.tail(1)
    found = human_labels(steps, second)
    assert found.height == steps.height - first["steps"].list.len()[0]


def test_a_first_error_is_the_first_step_below_the_threshold() -> None:
    scores = pl.Series([[0.9, 0.4, 0.1], [0.9, 0.8], [0.2], [0.5, 0.7]])
    assert first_below(scores, 0.5).to_list() == [1, -1, 0, -1]
    assert first_below(scores, 0.05).to_list() == [-1] * 4


def test_first_errors_are_right_at_the_very_step_only() -> None:
    found = compare_first_errors(pl.Series([1, 0, -1, -1, 2]), pl.Series([1, 1, 2, -1, -1]))
    assert found == FirstErrorAccuracy(3, 2, 1 / 3, 1 / 2, 0.4)
    assert compare_first_errors(pl.Series([-1]), pl.Series([-1])).f1 is None


def test_the_threshold_is_the_one_with_the_highest_f1() -> None:
    scores = pl.Series([[0.9, 0.3], [0.6, 0.7], [0.55, 0.9], [0.4, 0.2]])
    truth = pl.Series([1, -1, -1, 0])
    assert best_threshold(scores, truth) == 0.41
    assert compare_first_errors(first_below(scores, 0.41), truth).f1 == 1
    with pytest.raises(ValueError, match="with and without an error"):
        best_threshold(scores, pl.Series([-1] * 4))
