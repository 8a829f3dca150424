"""Write right solutions of word problems, and judge any step exactly."""

import random
import re
from collections.abc import Sequence

from shepherd.word_problems.arithmetic import WordProblem, apply, read_problem, resolve

_EQUATION = re.compile(r"(\d+) ([+*-]) (\d+) = (\d+)")
_FINAL = re.compile(r"The answer is: (\d+)\s*\Z")


def write_step(index: int, equation: str, lead: str, item: str, wordy: bool) -> str:
    """Return ``Step k: ...`` with its newline; the wordy form adds ``lead`` and ``item``."""
    body = f"{lead} {equation} {item}." if wordy else f"{equation}."
    return f"Step {index}: {body}\n"


def write_solution(problem: WordProblem, rng: random.Random) -> str:
    """Return a right solution. Each step is wordy or bare at random, so that texts differ."""
    results = problem.values()
    steps = []
    for index, node in enumerate(problem.nodes):
        left, right = resolve(node.left, results), resolve(node.right, results)
        equation = f"{left} {node.op} {right} = {results[index]}"
        steps.append(write_step(index + 1, equation, node.lead, problem.item, rng.random() < 0.5))
    return "".join(steps) + f"The answer is: {results[-1]}"


def judge_steps(question: str, steps: Sequence[str]) -> list[bool]:
    """Return for each step whether it and all steps before it are right.

    A step is right if it has exactly one equation, the equation is true, and it computes a node
    that no step before computed and whose operands are known (operands of + and * in either order).
    The last step must also state the gold answer, after all nodes are computed. Words around an
    equation are ignored.

    Raises:
        ValueError: the question was not written by :mod:`shepherd.word_problems.drawing`.
    """
    problem = read_problem(question)
    results = problem.values()
    pending = set(range(len(problem.nodes)))
    verdicts: list[bool] = []
    for position, step in enumerate(steps):
        node = _computed_node(step, problem, results, pending)
        right = node is not None and all(verdicts)
        pending.discard(-1 if node is None else node)
        if position == len(steps) - 1:
            final = _FINAL.search(step)
            right = right and not pending and final is not None and int(final[1]) == results[-1]
        verdicts.append(right)
    return verdicts


def _computed_node(
    step: str, problem: WordProblem, results: Sequence[int], pending: set[int]
) -> int | None:
    equations = _EQUATION.findall(step)
    if len(equations) != 1:
        return None
    left, op, right, result = equations[0]
    if apply(op, int(left), int(right)) != int(result):
        return None
    for index in sorted(pending):
        node = problem.nodes[index]
        operands = (node.left, node.right)
        known = all(isinstance(x, int) or x[0] not in pending for x in operands)
        written, expected = (int(left), int(right)), tuple(resolve(x, results) for x in operands)
        same = written == expected or (op != "-" and written == expected[::-1])
        if known and op == node.op and same:
            return index
    return None
