"""The nli annotator with a table in place of the model."""

from collections.abc import Sequence

from shepherd.annotators.nli import Pair, nli_labels
from shepherd.schemas import STEP_LABELS, enforce
from tests.written import problems_with, solutions_and_steps

GOLD = "Step 1: a.\nStep 2: b.\nStep 3: c.\nThe answer is: 1"
PROBLEMS = problems_with(GOLD)


class Said:
    """Answers from a table, 0 elsewhere, and remembers what it was asked."""

    def __init__(self, known: dict[Pair, float]) -> None:
        self.known = known
        self.calls: list[list[Pair]] = []

    def __call__(self, pairs: Sequence[Pair]) -> list[float]:
        self.calls.append(list(pairs))
        return [self.known.get(pair, 0.0) for pair in pairs]


def both_ways(step: str, other: str, one: float = 0.9, way_back: float = 0.8) -> dict[Pair, float]:
    return {(step, other): one, (other, step): way_back}


def label(
    entails: Said, *texts: tuple[str, bool], problem_id: str = "p"
) -> list[list[tuple[int, float]]]:
    """Return the labels of solutions, given as text and correctness."""
    solutions, steps = solutions_and_steps(texts, problem_id)
    labels = enforce(STEP_LABELS, nli_labels(steps, solutions, PROBLEMS, entails))
    assert set(labels["annotator"]) <= {"nli"}
    found = steps.join(labels, on="step_id", how="left", maintain_order="left")
    return [
        part.select("hard", "soft").rows()
        for part in found.partition_by("solution_id", maintain_order=True)
    ]


def test_right_solutions_need_no_model() -> None:
    entails = Said({})
    assert label(entails, ("Step 1: x.\nStep 2: y.", True)) == [[(1, 1.0), (1, 1.0)]]
    assert entails.calls == []


def test_a_step_is_as_right_as_the_least_entailment_so_far() -> None:
    entails = Said(
        both_ways("Step 1: A.", "Step 1: a.")
        | both_ways("Step 2: B.", "Step 2: b.", 0.4, 0.95)
        | both_ways("Step 3: C.", "Step 3: c.\nThe answer is: 1", 0.99, 0.99)
    )
    found = label(entails, ("Step 1: A.\nStep 2: B.\nStep 3: C.\nStep 4: D.", False))
    assert found == [[(1, 0.8), (0, 0.4), (0, 0.4), (0, 0.0)]]


def test_entailment_in_one_direction_does_not_do() -> None:
    entails = Said(both_ways("Step 1: A.", "Step 1: a.", 1.0, 0.1))
    assert label(entails, ("Step 1: A.\nStep 2: B.", False)) == [[(0, 0.1), (0, 0.0)]]


def test_equal_steps_are_not_asked_and_pairs_once_in_one_call() -> None:
    entails = Said({})
    wrong = "Step 1: a.\nStep 2: B.\n"
    label(entails, (wrong + "Step 3: 1", False), (wrong + "Step 3: 2", False))
    assert entails.calls == [[("Step 2: B.", "Step 2: b."), ("Step 2: b.", "Step 2: B.")]]


def test_the_best_reference_counts_but_no_mixture() -> None:
    entails = Said(both_ways("Step 2: B.", "Step 2: b.") | both_ways("Step 1: A.", "Step 1: x."))
    right = "Step 1: x.\nStep 2: y.\nThe answer is: 1"
    wrong = "Step 1: A.\nStep 2: B.\nStep 3: C."
    assert label(entails, (wrong, False), (right, True))[0] == [(1, 0.8), (0, 0.0), (0, 0.0)]


def test_a_step_past_the_end_of_the_references_is_wrong() -> None:
    wrong = "Step 1: a.\nStep 2: b.\nStep 3: c.\nStep 4: d.\nStep 5: e."
    gold_end = "Step 3: c.\nThe answer is: 1"
    found = label(Said(both_ways("Step 3: c.", gold_end, 0.7, 0.6)), (wrong, False))
    assert found == [[(1, 1.0), (1, 1.0), (1, 0.6), (0, 0.0), (0, 0.0)]]


def test_without_a_reference_a_wrong_solution_is_left_unlabelled() -> None:
    found = label(Said({}), ("Step 1: a.\nStep 2: b.", False), problem_id="q")
    assert found == [[(None, None), (None, None)]]
