"""Import solutions that were sampled elsewhere."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from resources.files.lines import Line, Rejection, rejected_frame
from resources.files.problems import (
    ProblemsByRow,
    check_untested,
    read_problem_files,
    refuse_many_bad,
)
from resources.files.rows import read_rows
from resources.sampling.completion_grading import grade_completions
from resources.user_paths import expanded
from shepherd.datasets import ImportedSolution, imported_solutions, question_key
from shepherd.identity import content_id
from shepherd.schemas import SOLUTIONS
from shepherd.settings import DatasetSettings


def load_solutions(
    dataset_name: str,
    settings: DatasetSettings,
    problems: pl.DataFrame,
    tests_elsewhere: Mapping[str, Line] = MappingProxyType({}),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the imported solutions of the given problems, graded, and the rejected rows.

    The solutions are of ``solutions_split``. ``problems`` may be a part of the dataset, such as
    one shard: solutions of other problems are left out, and the rejected rows are the same for
    every part. :func:`shepherd.datasets.imported_solutions` says how rows are read. Solutions of
    train problems that ``tests_elsewhere`` names (of
    :func:`resources.files.problems.questions_tested_elsewhere`) are rejected but not counted as
    bad.

    Raises:
        ValueError: ``solutions`` is not set, a file is missing or empty, or more rows than
            ``max_rejected_share`` are bad or match no problem.
    """
    if settings.solutions is None:
        raise ValueError(
            f"datasets.{dataset_name}.solutions: set it to a .jsonl or .parquet file"
            f"{settings.unset_hint('solutions')}"
        )
    if settings.source == "word_problems":
        raise ValueError(
            f"datasets.{dataset_name}.solutions: leave it out, {settings.source} are drawn anew "
            "and have no solutions sampled elsewhere"
        )
    read = read_problem_files(dataset_name, settings, tests_elsewhere)
    is_train = settings.solutions_split == "train"
    by_row = {**read.train, **read.tested_elsewhere} if is_train else read.test
    path = expanded(settings.solutions)
    lines = read_rows(path, f"datasets.{dataset_name}.solutions")
    tests = tests_elsewhere if is_train else MappingProxyType[str, Line]({})
    samples, rejections, num_rows = _read_solutions(lines, settings, by_row, tests)
    if not num_rows:
        raise ValueError(f"{path}: holds no solutions: correct datasets.{dataset_name}.solutions")
    refuse_many_bad(rejections, num_rows, settings, dataset_name)
    of_split = problems.filter(split=settings.solutions_split)
    ungraded = _ungraded(samples).join(of_split, on="problem_id", how="semi", maintain_order="left")
    graded = grade_completions(ungraded, of_split).select(SOLUTIONS.schema.keys())
    return graded, rejected_frame(dataset_name, rejections)


def _read_solutions(
    lines: Iterable[Line],
    settings: DatasetSettings,
    by_row: ProblemsByRow,
    tests_elsewhere: Mapping[str, Line],
) -> tuple[Counter[ImportedSolution], list[Rejection], int]:
    """Return how often each solution was sampled, the rejected rows, and the number of rows."""
    by_id = {problem.problem_id: problem for problem in by_row.values()}
    by_question = {question_key(problem.question): problem for problem in by_row.values()}
    samples: Counter[ImportedSolution] = Counter()
    rejections: list[Rejection] = []
    num_rows = 0
    for line in lines:
        num_rows += 1
        try:
            solutions = imported_solutions(line.parse(), by_id, by_question, by_row)
            check_untested(by_id[solutions[0].problem_id], tests_elsewhere)
            samples.update(
                replace(one, text=settings.splitting.clean(one.text)) for one in solutions
            )
        except ValueError as error:
            rejections.append(Rejection.of(line, str(error)))
    return samples, rejections, num_rows


def _ungraded(samples: Counter[ImportedSolution]) -> pl.DataFrame:
    """Return the columns of SOLUTIONS that are known before grading."""
    rows = [
        {
            "solution_id": content_id(solution.problem_id, solution.generator, solution.text),
            "problem_id": solution.problem_id,
            "generator": solution.generator,
            "text": solution.text,
            "num_samples": num_samples,
            "finish_reason": "imported",
            "num_tokens": 0,
            "seed": -1,
        }
        for solution, num_samples in samples.items()
    ]
    graded = ("answer", "is_correct", "grade_reason")
    schema = {name: dtype for name, dtype in SOLUTIONS.schema.items() if name not in graded}
    return pl.DataFrame(rows, schema=schema)
