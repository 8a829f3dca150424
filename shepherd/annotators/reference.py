"""What the annotators share that compare a wrong solution with right ones, and roll nothing out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from shepherd.annotators.problem import Label, Problem, Solution, label_frame, read_problems
from shepherd.splitting import Method, split_steps

RIGHT, WRONG = Label(hard=1, soft=1.0), Label(hard=0, soft=0.0)


@dataclass(frozen=True)
class Compared:
    """A wrong solution, with the steps of each solution that it is compared with (at least one)."""

    solution: Solution
    references: tuple[tuple[str, ...], ...]


Judge = Callable[[Sequence[Compared]], Iterable[Sequence[Label]]]
"""Labels the steps of each wrong solution, but for the last."""


def label_by_references(
    annotator: str,
    judge: Judge,
    steps: pl.DataFrame,
    solutions: pl.DataFrame,
    problems: pl.DataFrame,
    method: Method = "auto",
) -> pl.DataFrame:
    """Return the ``step_labels`` of an annotator that knows right solutions of each problem.

    References are the gold solution, cut by ``method``, and the right ones among ``solutions``.
    All steps of a right solution are right, and the last step of a wrong one is wrong; ``judge``
    says the rest. A wrong solution of a problem without references is left unlabelled.
    """
    gold = dict(problems.select("problem_id", "gold_solution").iter_rows())
    labels: dict[str, Label] = {}
    wrong: list[Compared] = []
    for problem in read_problems(steps, solutions, problems):
        references = _references(problem, gold[problem.problem_id], method)
        for solution in problem.solutions:
            if solution.is_correct:
                labels.update(dict.fromkeys(solution.step_ids, RIGHT))
            elif references:
                wrong.append(Compared(solution, references))
    for compared, found in zip(wrong, judge(wrong), strict=True):
        labels.update(zip(compared.solution.step_ids, [*found, WRONG], strict=True))
    return label_frame(annotator, steps, labels)


def _references(problem: Problem, gold: str | None, method: Method) -> tuple[tuple[str, ...], ...]:
    right = [solution.texts for solution in problem.solutions if solution.is_correct]
    references = [tuple(split_steps(gold, method)), *right] if gold else right
    return tuple(dict.fromkeys(references))
