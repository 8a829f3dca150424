from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.annotators.rule import computed_numbers, rule_labels
from shepherd.schemas import STEP_LABELS, enforce
from tests.written import problems_with, solutions_and_steps

GOLD = "Step 1: 3 + 5 = 8.\nStep 2: 8 * 2 = 16.\nStep 3: 16 - 6 = 10.\nThe answer is: 10"
OTHER_WAY = "Step 1: 5 * 2 = 10.\nStep 2: 10 - 0 = 10.\nThe answer is: 10"
PROBLEMS = problems_with(GOLD)


def label(*texts: tuple[str, bool], problem_id: str = "p") -> list[list[int]]:
    """Return the hard labels of solutions, given as text and correctness."""
    solutions, steps = solutions_and_steps(texts, problem_id)
    labels = enforce(STEP_LABELS, rule_labels(steps, solutions, PROBLEMS))
    assert labels["soft"].is_null().all()
    joined = steps.join(labels, on="step_id", how="left", maintain_order="left")
    grouped = joined.group_by("solution_id", maintain_order=True).agg("hard")
    return grouped["hard"].to_list()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Step 1: Tom has 3 + 5 = 8 apples.", [8]),
        ("48/2 = <<48/2=24>>24 clips", [24]),
        (r"$60 \cdot 7 = 420$ and $60\times0.8=48.$", [420, 48]),
        (r"$x = 3y = 12$", [12]),
        (r"so $x = 3 \cdot 4 = 12$, $y=5+1$", [12]),
        (r"$= 2x3 = 6$", [6]),
        ("the total = $1,200.00.", [1200]),
        (r"$a = 12{,}345 = 12,\!345$", [12345]),
        (r"$p = \dfrac{2}{4}$, $q=\frac{-1}{3}$ or q = 0.5", ["1/2", "-1/3"]),
        ("share = 3/4, that is = 75%", ["3/4", 75]),
        (r"$r = -7$ and $s=−8$", [-7, -8]),
        (r"$\pi \approx 3.14$", ["3.14"]),
        (r"$A = 25\pi$, $B = 5!$", [5]),
        (r"$A = 3\sqrt{2}$, $d=2^3=8$, $e = 10_2$", [8]),
        ("version = 1.2.3 and x = 12e5", []),
        ("no equation: 5 and 6", []),
        ("a >= 4, b <= 5 and c != 6 compute nothing", []),
        ("x = 1/0", []),
        ("", []),
    ],
)
def test_numbers_that_a_text_computes(text: str, numbers: list[str | int]) -> None:
    assert computed_numbers(text) == frozenset(map(Fraction, numbers))


@settings(derandomize=True, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(0, 99))
def test_writing_a_number_otherwise_changes_nothing(whole: int, hundredths: int) -> None:
    plain = f"{whole}.{hundredths:02d}"
    value = Fraction(plain)
    for written in (plain, f"{whole:,}.{hundredths:02d}", f"{plain}00", f"{plain} km", f"{plain}%"):
        assert computed_numbers(f"so it = {written}") == {value}


def test_all_steps_of_a_right_solution_are_right() -> None:
    assert label(("Step 1: 99 = 99.\nStep 2: 1 = 77.\nThe answer is: 10", True)) == [[1, 1]]


def test_a_step_is_wrong_from_the_first_number_on_that_no_reference_computes() -> None:
    wrong = "Step 1: 3 + 5 = 8.\nStep 2: 8 * 2 = 15.\nStep 3: 16 - 6 = 10.\nStep 4: Done: 11"
    assert label((wrong, False)) == [[1, 0, 0, 0]]


def test_a_step_without_numbers_is_as_right_as_those_before() -> None:
    wrong = "Step 1: We add.\nStep 2: 3 + 5 = 9.\nStep 3: We double.\nStep 4: 4"
    assert label((wrong, False)) == [[1, 0, 0, 0]]


def test_the_last_step_of_a_wrong_solution_is_wrong() -> None:
    assert label(("Step 1: 3 + 5 = 8.\nStep 2: 8 * 2 = 16.", False)) == [[1, 0]]


def test_any_right_solution_is_a_reference_but_no_mixture_is() -> None:
    wrong = "Step 1: 5 * 2 = 10.\nStep 2: 10 - 0 = 10.\nStep 3: 10 - 2 = 8.\nStep 4: Done: 8"
    assert label((wrong, False)) == [[1, 1, 1, 0]]
    double = "Step 1: 2 * 2 = 4.\nStep 2: 4 + 6 = 10.\nThe answer is: 10"
    mixture = "Step 1: 2 * 2 = 4.\nStep 2: 8 * 2 = 16.\nStep 3: Done: 16"
    assert label((mixture, False), (double, True), (OTHER_WAY, True)) == [[1, 0, 0], [1, 1], [1, 1]]


def test_without_a_reference_a_wrong_solution_is_left_unlabelled() -> None:
    wrong = "Step 1: 1 + 1 = 2.\nStep 2: Done: 2"
    assert label((wrong, False), problem_id="q") == [[None, None]]
    assert label((wrong, False), (OTHER_WAY, True), problem_id="q") == [[0, 0], [1, 1]]
