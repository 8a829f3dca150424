"""Texts with the same reasoning: to keep distinct solutions and to count repeated steps."""

import re
from collections.abc import Sequence

import polars as pl

_NUMBER = r"-?\d+(?:[.,]\d+)*"
_EQUATION = re.compile(rf"{_NUMBER}(?:\s*[-+*/×÷^]\s*{_NUMBER})+\s*=\s*{_NUMBER}")
_MARK = re.compile(r"^\W*(?:Step\s*)?\d{1,9}\s*[:.)]\s*", re.IGNORECASE)


def reasoning_of(text: str) -> tuple[str, ...]:
    """Return the equations of a text in order, without spaces; without equations, its words.

    Rejection-sampling fine-tuning (arXiv 2308.01825) treats two solutions as the same if their
    lists of equations are equal.
    """
    equations = tuple("".join(equation.split()) for equation in _EQUATION.findall(text))
    return equations or tuple(text.lower().split())


def num_repeated_steps(steps: Sequence[str]) -> int:
    """Return the number of steps whose reasoning repeats an earlier step of the solution.

    The number in front of a step (``Step 2:``) does not count.
    """
    return len(steps) - len({reasoning_of(_MARK.sub("", step.strip())) for step in steps})


def distinct_solutions(drawn: pl.DataFrame) -> pl.DataFrame:
    """Return the right draws (problem_id, text, is_correct, ...) with distinct reasoning.

    Of draws with the same reasoning the first stays. The order is kept.
    """
    right = drawn.filter("is_correct")
    reasoning = pl.Series(
        "reasoning", [" ; ".join(reasoning_of(t)) for t in right["text"]], pl.String
    )
    return (
        right.with_columns(reasoning)
        .unique(subset=["problem_id", "reasoning"], keep="first", maintain_order=True)
        .drop("reasoning")
    )
