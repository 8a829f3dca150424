"""The common part of annotators that compare wrong solutions with right ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from shepherd.annotators.problem import (
    Label,
    SolutionSteps,
    SolvedProblem,
    label_frame,
    read_problems,
)
from shepherd.splitting import Method, split_steps

RIGHT, WRONG = Label(hard=1, soft=1.0), Label(hard=0, soft=0.0)


@dataclass(frozen=True)
class Compared:
    """A wrong solution, and the steps of each right one to compare it with (at least one)."""

    solution: SolutionSteps
    references: tuple[tuple[str, ...], ...]


LabelWrong = Callable[[Sequence[Compared]], Iterable[Sequence[Label]]]
"""Returns the labels of each wrong solution's steps but the last."""


def label_by_references(
    annotator: str,
    label_wrong: LabelWrong,
    steps: pl.DataFrame,
    solutions: pl.DataFrame,
    problems: pl.DataFrame,
    method: Method = "auto",
) -> pl.DataFrame:
    """Return the ``step_labels`` of an annotator that compares with right solutions.

    The references of a problem are its gold solution, cut by ``method``, and its right solutions.
    All steps of a right solution are right, and the last step of a wrong solution is wrong;
    ``label_wrong`` labels the others. A wrong solution without references stays unlabelled.
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
    for compared, of_steps in zip(wrong, label_wrong(wrong), strict=True):
        labels.update(zip(compared.solution.step_ids, [*of_steps, WRONG], strict=True))
    return label_frame(annotator, steps, labels)


def _references(
    problem: SolvedProblem, gold: str | None, method: Method
) -> tuple[tuple[str, ...], ...]:
    right = [solution.texts for solution in problem.solutions if solution.is_correct]
    references = [tuple(split_steps(gold, method)), *right] if gold else right
    return tuple(dict.fromkeys(references))
