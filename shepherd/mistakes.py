"""Write flawed solutions of word problems: pretraining text that teaches models to check steps.

A slip is a wrong result, operand or operation, or a skipped step (also the last one: the solution
stops early). Some solutions have an extra step. Steps after a slip continue from the
written value, as those of a model do. A slip can happen to be right, so
:func:`shepherd.word_problems.judge_steps` says which steps are wrong.

What does not decide whether a step is right varies as well: operands of + and * are swapped, and
careless solutions have other names, items and step numbers.
"""

import random
import re
from collections.abc import Sequence

from shepherd.word_problems import ITEMS, MAX_VALUE, NAMES, WordProblem, apply, write_step

Computation = tuple[int, str, int]
"""Left operand, operation and right operand that a step should have written."""


def write_flawed(
    problem: WordProblem, rng: random.Random, error_rate: float
) -> tuple[list[str], list[Computation | None]]:
    """Return the steps of a solution that slips in each step with probability ``error_rate``.

    Joined, the steps are the solution. The second list holds the computation that each step should
    have written, given the values before it; None after a skipped step.
    """
    numbers = [int(number) for number in re.findall(r"\d+", problem.question)]
    careless = rng.random() < 0.3
    results: list[int] = []
    steps: list[str] = []
    expected: list[Computation | None] = []
    skipped: list[Computation] = []
    answer = rng.choice(numbers)
    for node in problem.nodes:
        left, right = (x if isinstance(x, int) else results[x[0]] for x in (node.left, node.right))
        if node.op != "-" and rng.random() < 0.1:
            left, right = right, left
        op, computation = node.op, (left, node.op, right)
        slip = rng.choice(SLIPS) if rng.random() < error_rate else ""
        if slip == "operand":
            left, right = _other_operand(left, right, rng, [*numbers, *results])
        if slip == "operation":
            op = rng.choice([other for other in "+-*" if other != op])
        result = _in_range(apply(op, left, right))
        if slip == "result":
            result = _other_result(result, rng)
        results.append(result)
        if slip == "skip":
            skipped.append(computation)
            continue
        equation = f"{left} {op} {right} = {result}"
        steps.append(_write(len(steps) + 1, equation, node.lead, problem.item, rng, careless))
        expected.append(_expected_computation(computation, skipped, expected))
        answer = result
    if rng.random() < error_rate / 2:
        op, number = rng.choice("+-*"), rng.choice(numbers)
        extra = _in_range(apply(op, answer, number))
        equation = f"{answer} {op} {number} = {extra}"
        lead = rng.choice(("Together they have", problem.nodes[-1].lead))
        steps.append(_write(len(steps) + 1, equation, lead, problem.item, rng, careless))
        expected.append(None)
        answer = extra
    if rng.random() < error_rate / 8:
        answer = _other_result(answer, rng)
    closing = f"The answer is: {answer}"
    if not steps:
        return [closing], [None]
    return [*steps[:-1], steps[-1] + closing], expected


def _write(
    index: int, equation: str, lead: str, item: str, rng: random.Random, careless: bool
) -> str:
    """Write a step, bare or wordy; a careless one may have wrong words around its equation."""
    if careless:
        lead, item = rng.choice((lead, f"{rng.choice(NAMES)} has")), rng.choice((item, *ITEMS))
        index = rng.randint(1, 9) if rng.random() < 0.1 else index
    return write_step(index, equation, lead, item, rng.random() < 0.5)


def _expected_computation(
    computation: Computation, skipped: Sequence[Computation], expected: Sequence[Computation | None]
) -> Computation | None:
    """Return the computation that the step should have written.

    After a skip it is the first skipped computation, and None for the steps after that.
    """
    if not skipped:
        return computation
    return None if skipped[0] in expected or None in expected else skipped[0]


def draw_sum(rng: random.Random) -> tuple[str, bool]:
    """Return an equation as in word problems, and whether it is true."""
    while True:
        op = rng.choice("++--*")
        left, right = rng.randint(1, MAX_VALUE), rng.randint(1, MAX_VALUE)
        result = apply(op, left, right)
        if 1 <= result <= MAX_VALUE:
            written = result if rng.random() < 0.5 else _other_result(result, rng)
            return f"{left} {op} {right} = {written}", written == result


def true_result(step: str) -> int | None:
    """Return the value of the left side of a step's equation, if the tokenizer has its token."""
    if match := re.search(r"(\d+) ([+*-]) (\d+) =", step):
        result = apply(match[2], int(match[1]), int(match[3]))
        return result if 0 <= result < 2 * MAX_VALUE else None
    return None


SLIPS = ("result", "result", "operand", "operand", "operation", "skip", "skip")
"""Kinds of slips, as often as small models make them."""


def _in_range(value: int) -> int:
    return min(max(value, 0), 2 * MAX_VALUE - 1)


def _other_result(result: int, rng: random.Random) -> int:
    near = result + rng.choice((-10, -3, -2, -1, 1, 2, 3, 10))
    wrong = near if rng.random() < 0.7 else rng.randint(1, MAX_VALUE)
    return _in_range(wrong) if _in_range(wrong) != result else abs(result - 1)


def _other_operand(
    left: int, right: int, rng: random.Random, known: Sequence[int]
) -> tuple[int, int]:
    wrong = rng.choice(known) if rng.random() < 0.7 else _other_result(right, rng)
    return (wrong, right) if rng.random() < 0.5 else (left, wrong)
