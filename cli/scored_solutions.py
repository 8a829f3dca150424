"""Score solutions with a reward model and print the score of each step."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

import polars as pl

from cli.choices import RewardModelKind, ScoreAggregation
from cli.solution_files import SplitSolution
from shepherd.messages import printable
from shepherd.settings import ScoringSettings
from shepherd.verification import aggregate
from training.scoring import open_scorer

GREEN_FROM, YELLOW_FROM = 0.7, 0.3
"""Scores from which a step is green, and yellow; lower scores are red."""
GREEN, YELLOW, RED, BOLD, PLAIN = "\033[32m", "\033[33m", "\033[31m", "\033[1m", "\033[0m"


@dataclass(frozen=True)
class ScoredSolution:
    """A solution with the score of each step, between 0 and 1; an ORM scores all steps as one."""

    question: str
    steps: list[str]
    scores: list[float | None]
    """Null for steps that the model did not read, as they are past its window."""
    num_unscored: int
    """Number of these."""
    weakest: int | None
    """Index, from 0, of the lowest score; null if no step has one."""
    score: float | None
    """The scores aggregated; null if a step is unscored."""


def score_solutions(
    model: str,
    solutions: Sequence[SplitSolution],
    kind: RewardModelKind,
    template: str,
    settings: ScoringSettings,
    aggregation: ScoreAggregation,
) -> list[ScoredSolution]:
    """Score solutions with a checkpoint, in their order.

    Raises:
        ValueError: there is no such checkpoint or template, or it is no reward model.
    """
    try:
        scorer = open_scorer(
            model, settings, kind=kind, template=template, max_length=settings.max_length
        )
    except OSError as error:
        raise ValueError(f"--model {model}: {error}") from error
    with closing(scorer):
        step_scores = scorer.score([s.question for s in solutions], [s.steps for s in solutions])
    totals = aggregate(pl.Series(step_scores, dtype=pl.List(pl.Float64)), aggregation).to_list()
    return [
        ScoredSolution(
            solution.question,
            solution.steps if kind == "process" else ["".join(solution.steps)],
            scores,
            scores.count(None),
            _weakest(scores),
            total,
        )
        for solution, scores, total in zip(solutions, step_scores, totals, strict=True)
    ]


def _weakest(scores: Sequence[float | None]) -> int | None:
    """Return the index of the lowest score, the first of equal ones; null if there is none."""
    known = [(score, index) for index, score in enumerate(scores) if score is not None]
    return min(known)[1] if known else None


def print_scores(solutions: Sequence[ScoredSolution], *, as_json: bool) -> None:
    """Print one JSON object per solution, or its steps in colour if stdout is a terminal."""
    if as_json:
        for solution in solutions:
            print(json.dumps(asdict(solution), ensure_ascii=False))
        return
    in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print("\n\n".join(render(solution, in_colour=in_colour) for solution in solutions))


def render(solution: ScoredSolution, *, in_colour: bool) -> str:
    """Return a solution as text: one line per step with its score, the weakest step marked."""

    def painted(text: str, *codes: str) -> str:
        return "".join(codes) + text + PLAIN if in_colour and codes else text

    question = "\n".join(map(printable, solution.question.strip().split("\n")))
    lines = [painted(question, BOLD)]
    for index, (step, score) in enumerate(zip(solution.steps, solution.scores, strict=True)):
        colours = [] if score is None else [_colour(score)]
        # A solution is untrusted text: its escape sequences must not reach the terminal.
        first, *others = map(printable, step.strip().split("\n"))
        mark = "  <- weakest" if index == solution.weakest and len(solution.steps) > 1 else ""
        lines.append(f"  {painted(_shown(score), *colours)}  {painted(first, *colours)}{mark}")
        lines += [f"        {painted(line, *colours)}" for line in others]
    note = f" ({solution.num_unscored} steps unscored)" if solution.num_unscored else ""
    return "\n".join([*lines, f"  {_shown(solution.score)}  the solution{note}"])


def _shown(score: float | None) -> str:
    return "   -" if score is None else f"{score:.2f}"


def _colour(score: float) -> str:
    return GREEN if score >= GREEN_FROM else YELLOW if score >= YELLOW_FROM else RED
