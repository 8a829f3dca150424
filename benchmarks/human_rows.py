"""Read ProcessBench's solutions, whose first wrong step people named (arXiv 2412.06559)."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from benchmarks.annotated import AnnotatedSolutions
from benchmarks.process_bench import read_lines
from resources.grading import grade_pairs
from resources.sampling.stage import Shard
from shepherd.annotators.human import human_labels, rated_steps
from shepherd.annotators.problem import read_problems
from shepherd.answers import extract_answer
from shepherd.datasets import (
    Problem,
    gsm8k_problem,
    math_problem,
    question_key,
    word_problem,
)
from shepherd.identity import content_id
from shepherd.label_formats import LabeledSolution, labeled_frame, parse_processbench
from shepherd.mistakes import write_flawed
from shepherd.schemas import PROBLEMS
from shepherd.settings import SamplingSettings
from shepherd.splitting import split_steps
from shepherd.word_problems import draw_problems, judge_steps

SUBSETS: dict[str, Callable[[object, str, str], Problem]] = {
    "gsm8k": gsm8k_problem,
    "math": math_problem,
}
"""The parser of the published problems of each subset: they have gold answers and solutions."""

WRITTEN = "word_problems"
SLIP_RATE = 0.2
"""Probability of a slip in each step of a solution that is written here."""


def read_subset(folder: Path, subset: str, gold: Path | None) -> AnnotatedSolutions:
    """Read ``<subset>.jsonl`` or ``<subset>.jsonl.gz`` of a folder, as tables.

    Gold answers are those of ``gold``, a file of published problems, which has gold solutions as
    well. Without it they are read from the field ``gold_answer`` of each row.

    Raises:
        ValueError: a file does not exist, a row cannot be read or a gold answer is missing; the
            message names the file and the line.
    """
    found = [folder / f"{subset}{suffix}" for suffix in (".jsonl", ".jsonl.gz")]
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        raise ValueError(
            f"--data: {folder.absolute()} holds no {found[0].name} nor {found[1].name}"
        )
    published = _published(gold, subset) if gold else {}
    solutions: list[LabeledSolution] = []
    problems: dict[str, Problem] = {}
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
            solution = parse_processbench(row)
            problem = published.get(question_key(solution.question)) or _own(row, solution, subset)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        solutions.append(_as_written(solution))
        question = solution.question.strip()
        problem_id = content_id(subset, question)
        problems[problem_id] = replace(problem, problem_id=problem_id, question=question)
    return as_tables(subset, [*problems.values()], solutions, "human")


def written_rows(num_problems: int) -> AnnotatedSolutions:
    """Write a solution of each of some word problems, many with a slip; the oracle labels them."""
    rng = random.Random(0)
    problems, solutions = [], []
    for problem in draw_problems(0, "test", num_problems):
        written, _ = write_flawed(problem, rng, error_rate=SLIP_RATE)
        text = "".join(written)
        steps = tuple(split_steps(text))
        hard = tuple(int(right) for right in judge_steps(problem.question, steps))
        row = word_problem(problem, WRITTEN, "test")
        [verdict] = grade_pairs([(row.gold_answer, extract_answer(text))])
        problems.append(row)
        solutions.append(
            LabeledSolution(problem.question, steps, hard, (None,) * len(steps), verdict.correct)
        )
    return as_tables(WRITTEN, problems, solutions, "oracle")


def as_tables(
    dataset: str, problems: list[Problem], solutions: list[LabeledSolution], annotator: str
) -> AnnotatedSolutions:
    """Return problems and labelled solutions as tables; ``annotator`` made the labels."""
    labeled = labeled_frame(solutions, annotator, dataset).unique(
        "solution_id", keep="first", maintain_order=True
    )
    problem_frame = pl.DataFrame([asdict(one) for one in problems], schema=PROBLEMS.schema)
    steps = rated_steps(labeled)
    written = labeled.select(
        "solution_id", "problem_id", "is_correct", text=pl.col("steps").list.join("")
    )
    return AnnotatedSolutions(
        problem_frame,
        written,
        steps,
        human_labels(steps, labeled),
        read_problems(steps, written, problem_frame),
        samplers={},
        sampling=SamplingSettings(),
        shard=Shard(dataset, "00", Path(), 0),
    )


def _as_written(solution: LabeledSolution) -> LabeledSolution:
    """Put the blank line back after each step but the last, at which the solutions were cut."""
    *others, last = solution.steps
    return solution._replace(steps=(*(f"{step}\n" for step in others), last))


def _own(row: dict[str, object], solution: LabeledSolution, subset: str) -> Problem:
    answer = row.get("gold_answer")
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError("gold_answer: is missing or empty: name the published problems by --gold")
    return Problem("", subset, "test", solution.question, None, answer.strip())


def _published(path: Path, subset: str) -> dict[str, Problem]:
    """Return the problems of a published file by :func:`question_key`."""
    problems = {}
    for number, line in read_lines(path):
        try:
            problem = SUBSETS[subset](json.loads(line), subset, "test")
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        problems[question_key(problem.question)] = problem
    return problems
