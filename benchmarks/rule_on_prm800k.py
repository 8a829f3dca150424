"""How accurate is the rule annotator by people's ratings, and why?

    python -m benchmarks.rule_on_prm800k [--json] [--trees 1000000]

Labels the steps of PRM800K's phase 1 (train) with the MATH train solutions as references, then
with the right paths of the same trees too. Compares the labels with the published ratings (folder
``SHEPHERD_SHARED_DATA``, else ``../shared/data``). Each distinct prefix counts once. Last steps do
not count. The baseline of an accuracy calls every step right.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result
from benchmarks.requirements import shared_file
from resources.grading import grade_pairs
from shepherd.annotators.human import human_labels, rated_steps
from shepherd.annotators.rule import computed_numbers, rule_labels
from shepherd.label_formats import LabeledSolution, labeled_frame, parse_prm800k
from shepherd.labels import label_accuracy

ANSWER = "# Answer\n\n"


def run(options: argparse.Namespace) -> list[Result]:
    """Compare by step, then count what the mistakes have in common.

    Raises:
        ValueError: the published files are not there.
    """
    trees = shared_file("step_labels", "prm800k_phase1_train.jsonl.gz")
    paths = read_paths(trees, options.trees)
    problems = read_problems(shared_file("math", "train.jsonl"), paths)
    truth = human_labels(rated_steps(paths), paths)
    # An unfinished path gets an empty last step, so that its own last step counts.
    is_open = ~pl.col("steps").list.last().str.contains(ANSWER, literal=True)
    steps = rated_steps(
        paths.with_columns(
            pl.when(is_open).then(pl.concat_list("steps", pl.lit(""))).otherwise("steps")
        )
    )
    judged = (
        steps.filter(~pl.col("is_last"))
        .unique("prefix_id", keep="first", maintain_order=True)
        .join(truth.select("step_id", rated="hard"), on="step_id", maintain_order="left")
    )
    alone = paths.select("solution_id", is_correct=pl.lit(value=False))
    by_gold = rule_labels(steps, alone, problems)
    by_all = rule_labels(steps, paths.select("solution_id", "is_correct"), problems)
    return [
        Result("steps rated", judged.height, "steps"),
        *accuracy("gold solution", by_gold, truth, judged),
        *accuracy("gold and right paths", by_all, truth, judged),
        *reasons(judged.join(by_gold.select("step_id", "hard"), on="step_id"), problems),
    ]


def read_paths(file: Path, num_trees: int) -> pl.DataFrame:
    """Return each distinct path of the first rated trees; right if it ends in the gold answer."""
    paths: dict[str, list[LabeledSolution]] = {}
    gold: dict[str, str] = {}
    for row in islice(_rows(file), num_trees):
        paths.setdefault(row["problem"], []).extend(parse_prm800k(row))
        gold[row["problem"]] = row["gold"]
    frame = labeled_frame(
        [path for of_problem in paths.values() for path in of_problem], "human", "prm800k"
    )
    frame = frame.unique("solution_id", keep="first", maintain_order=True)
    pairs = [
        (gold[question], steps[-1].partition(ANSWER)[2] or None)
        for question, steps in frame.select("question", "steps").iter_rows()
    ]
    right = [verdict.correct for verdict in grade_pairs(pairs)]
    return frame.with_columns(is_correct=pl.Series(right, dtype=pl.Boolean))


def read_problems(file: Path, paths: pl.DataFrame) -> pl.DataFrame:
    """Return problem_id, question and gold_solution of the problems of ``paths``."""
    solutions = {row["problem"].strip(): row["solution"] for row in _rows(file)}
    problems = paths.select("problem_id", "question").unique(maintain_order=True)
    gold = [solutions[question.strip()] for question in problems["question"]]
    return problems.with_columns(gold_solution=pl.Series(gold))


def accuracy(
    name: str, labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame
) -> list[Result]:
    """Compare labels with the ratings."""
    measured = label_accuracy(labels, truth, steps)
    assert measured.agreement is not None
    assert measured.wrong_precision is not None
    assert measured.wrong_recall is not None
    all_right = steps["rated"].mean()
    assert isinstance(all_right, float)
    return [
        Result(f"accuracy, {name}", measured.agreement, "share", all_right),
        Result(f"precision of wrong, {name}", measured.wrong_precision, "share", 1 - all_right),
        Result(f"recall of wrong, {name}", measured.wrong_recall, "share"),
    ]


def reasons(judged: pl.DataFrame, problems: pl.DataFrame) -> list[Result]:
    """Return shares of steps and mistakes by what they compute, next to the gold solution."""
    gold = {
        problem_id: computed_numbers(solution)
        for problem_id, solution in problems.select("problem_id", "gold_solution").iter_rows()
    }
    computed = [computed_numbers(text) for text in judged["text"]]
    foreign = [
        not numbers <= gold[problem_id]
        for numbers, problem_id in zip(computed, judged["problem_id"], strict=True)
    ]
    steps = judged.with_columns(
        is_silent=pl.Series([not numbers for numbers in computed]),
        is_foreign=pl.Series(foreign),
    )
    missed = steps.filter(rated=0, hard=1)
    false_alarms = steps.filter(rated=1, hard=0)
    speaking_right = steps.filter(~pl.col("is_silent"), pl.col("rated") == 1)
    return [
        share("steps that compute no number", steps["is_silent"]),
        share("missed wrong steps that compute no number", missed["is_silent"]),
        share("false alarms inherited from an earlier step", ~false_alarms["is_foreign"]),
        share("right computing steps with a number foreign to gold", speaking_right["is_foreign"]),
        share(
            "gold solutions that compute no number",
            pl.Series([not numbers for numbers in gold.values()]),
        ),
    ]


def share(name: str, holds: pl.Series) -> Result:
    """Return the share of rows for which something holds."""
    mean = holds.mean()
    assert isinstance(mean, float)
    return Result(name, mean, "share")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
        yield from map(json.loads, lines)


BENCHMARK = Benchmark(
    "rule_on_prm800k",
    __doc__,
    run,
    sizes=[Size("trees", 1_000_000, 100, "rated trees to read, at most")],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
