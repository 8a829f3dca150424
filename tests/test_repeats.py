import polars as pl
import pytest

from shepherd.repeats import distinct_solutions, num_repeated_steps, reasoning_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Step 1: Tom has 3 + 4 = 7 apples.", ("3+4=7",)),
        ("3+4=7, then 7 * 2 = 14", ("3+4=7", "7*2=14")),
        ("2 + 3 * 4 = 14", ("2+3*4=14",)),
        ("costs 1,250.50 - 50 = 1,200.50", ("1,250.50-50=1,200.50",)),
        ("Let x be the  Number.", ("let", "x", "be", "the", "number.")),
        ("", ()),
    ],
)
def test_reasoning_is_the_equations_or_else_the_words(text: str, expected: tuple[str]) -> None:
    assert reasoning_of(text) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["Step 1: 3 + 4 = 7.\n", "Step 2: 7 * 2 = 14.\n"], 0),
        (["Step 1: 3 + 4 = 7.\n", "Step 2: Tom has 3 + 4 = 7 pens.\n", "Step 3: 3 + 4 = 7."], 2),
        (["1. So we are done.\n", "2. so we are  done."], 1),
        (["Step 1: x is 5.\n", "Step 2: x is 6.\n"], 0),
        ([], 0),
    ],
)
def test_a_step_that_says_the_same_again_is_counted(steps: list[str], expected: int) -> None:
    assert num_repeated_steps(steps) == expected


def test_right_draws_that_reason_alike_are_kept_once_for_each_problem() -> None:
    drawn = pl.DataFrame(
        [
            ("p", "1 + 1 = 2. The answer is: 2", True),
            ("p", "Tom has 1 + 1 = 2 pens. The answer is: 2", True),
            ("p", "3 - 1 = 2. The answer is: 2", True),
            ("p", "1 + 2 = 3. The answer is: 3", False),
            ("q", "1 + 1 = 2. The answer is: 2", True),
        ],
        schema=["problem_id", "text", "is_correct"],
        orient="row",
    )
    kept = distinct_solutions(drawn)
    assert kept.columns == drawn.columns
    assert kept.equals(drawn[[0, 2, 4]])
