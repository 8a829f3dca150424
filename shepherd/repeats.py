"""When two texts reason alike: for keeping distinct solutions, and for finding repeated steps."""

import re
from collections.abc import Sequence

import polars as pl

_NUMBER = r"-?\d+(?:[.,]\d+)*"
_EQUATION = re.compile(rf"{_NUMBER}(?:\s*[-+*/×÷^]\s*{_NUMBER})+\s*=\s*{_NUMBER}")
_MARK = re.compile(r"^\W*(?:Step\s*)?\d{1,9}\s*[:.)]\s*", re.IGNORECASE)


def reasoning_of(text: str) -> tuple[str, ...]:
    """Return the equations of a text in order, without spaces; or its words, where it has none.

    Rejection-sampling fine-tuning (arXiv 2308.01825) calls two solutions the same if their
    lists of equations are.
    """
    equations = tuple("".join(found.split()) for found in _EQUATION.findall(text))
    return equations or tuple(text.lower().split())


def num_repeated_steps(steps: Sequence[str]) -> int:
    """Return how many steps say the same as an earlier one of the solution, numbering aside."""
    return len(steps) - len({reasoning_of(_MARK.sub("", step.strip())) for step in steps})


def distinct_solutions(drawn: pl.DataFrame) -> pl.DataFrame:
    """Return the right draws (problem_id, text, is_correct, ...), one for each way of reasoning.

    The first drawn of those that reason alike stays; order is kept.
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
