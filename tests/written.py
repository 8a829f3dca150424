"""Problems with a gold solution or none, and solutions of them as an annotator finds them."""

import random

import polars as pl

from shepherd.mistakes import write_flawed
from shepherd.rollouts import split_solutions
from shepherd.word_problems import draw_problems, judge_steps


def problems_with(gold: str) -> pl.DataFrame:
    """Return the problem p with this gold solution, and q without one."""
    return pl.DataFrame(
        {
            "problem_id": ["p", "q"],
            "question": ["How many?", "How much?"],
            "gold_solution": [gold, None],
        }
    )


def solutions_and_steps(
    texts: tuple[tuple[str, bool], ...], problem_id: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the solutions of a problem, given as text and correctness, and their steps."""
    solutions = pl.DataFrame(
        {
            "solution_id": [f"s{index}" for index in range(len(texts))],
            "problem_id": problem_id,
            "text": [text for text, _ in texts],
            "is_correct": [right for _, right in texts],
        }
    )
    return solutions, split_solutions(solutions)


def flawed_solutions(count: int) -> pl.DataFrame:
    """Return PRM examples of word problems: (question, steps, labels), some steps wrong."""
    rng = random.Random(0)
    rows = []
    for problem in draw_problems(0, "train", count):
        steps, _ = write_flawed(problem, rng, error_rate=0.2)
        labels = [float(right) for right in judge_steps(problem.question, steps)]
        rows.append((problem.question, steps, labels))
    return pl.DataFrame(rows, schema=["question", "steps", "labels"], orient="row")
