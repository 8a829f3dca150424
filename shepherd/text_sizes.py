"""The sizes of problems' texts, counted or as published: what estimates of draws start from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from shepherd.splitting import Method, split_steps

TYPICAL_STEPS = (80,) * 4
"""Characters of each step of a solution, for problems without a gold solution. It is about GSM8K's,
whose train solutions have 3.5 lines of 79 characters and an answer."""


@dataclass(frozen=True)
class TextSizes:
    """Sums over some problems; lengths are in characters."""

    problems: float
    questions: float
    """Length of the questions."""
    solutions: float
    """Length of the gold solutions."""
    prefixes: float
    """Prefixes of the gold solutions that are not the whole."""
    before: float
    """Length of the questions and steps before the end of each prefix."""
    after: float
    """Length of what follows each prefix."""
    basis: str
    """Where the sizes come from, for people."""

    def at_most(self, num_problems: int | None) -> "TextSizes":
        """Return the sizes of as many average problems; null: of all."""
        if num_problems is None or num_problems >= self.problems:
            return self
        share = num_problems / self.problems
        return TextSizes(
            num_problems,
            self.questions * share,
            self.solutions * share,
            self.prefixes * share,
            self.before * share,
            self.after * share,
            self.basis,
        )


_GSM8K = "published size of GSM8K, N everywhere"
_MATH = "published size of MATH, N everywhere"
PUBLISHED_SIZES = {
    ("gsm8k", "published", "train"): TextSizes(
        7473, 1_752_474, 2_148_453, 19_215, 8_024_304, 3_375_526, _GSM8K
    ),
    ("gsm8k", "published", "test"): TextSizes(
        1319, 316_390, 386_310, 3_498, 1_485_720, 620_697, _GSM8K
    ),
    ("math", "published", "train"): TextSizes(
        7496, 1_576_130, 4_139_549, 23_041, 23_286_910, 16_569_332, _MATH
    ),
    ("math", "published", "test"): TextSizes(
        5000, 955_671, 2_599_793, 14_688, 12_373_633, 9_320_117, _MATH
    ),
    ("math", "lightman", "train"): TextSizes(
        11_996, 2_433_855, 6_473_649, 36_269, 34_477_901, 25_070_751, _MATH
    ),
    ("math", "lightman", "test"): TextSizes(500, 97_946, 265_644, 1_448, 1_179_249, 811_012, _MATH),
}
"""The sizes of published files by source, split in the profile, and train or test.

``tests/test_shared_files.py`` counts them again.
"""


def sizes_of(problems: pl.DataFrame, method: Method = "auto") -> TextSizes:
    """Return the sizes of problems; one without a gold solution has :data:`TYPICAL_STEPS`."""
    questions = solutions = prefixes = before = after = 0.0
    for question, steps in _lengths(problems, method):
        questions += question
        solutions += sum(steps)
        for index in range(1, len(steps)):
            prefixes += 1
            before += question + sum(steps[:index])
            after += sum(steps[index:])
    return TextSizes(
        problems.height, questions, solutions, prefixes, before, after, _basis(problems)
    )


def _lengths(problems: pl.DataFrame, method: Method) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the number of characters of each question, and of each step of its solution."""
    for question, solution in problems.select("question", "gold_solution").iter_rows():
        yield (
            len(question),
            TYPICAL_STEPS if solution is None else [len(s) for s in split_steps(solution, method)],
        )


def _basis(problems: pl.DataFrame) -> str:
    without = problems["gold_solution"].null_count()
    if not without:
        return "from gold solutions, N everywhere"
    where = "" if without == problems.height else f" for {without} of {problems.height}"
    typical = f"typical solutions ({len(TYPICAL_STEPS)} x {TYPICAL_STEPS[0]} characters)"
    return f"from {typical}{where}, N everywhere"
