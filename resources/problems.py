"""Problems of a dataset, and solutions of them that were sampled elsewhere."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import polars as pl

from resources.rows import Line, Rejection, read_rows, refuse_many, rejected_frame
from resources.sampling import grade_completions
from shepherd.datasets import (
    ImportedSolution,
    Problem,
    gsm8k_problem,
    imported_solution,
    word_problem,
)
from shepherd.identity import content_id
from shepherd.schemas import PROBLEMS, SOLUTIONS
from shepherd.settings import DatasetSettings
from shepherd.word_problems import draw_problems


def load_problems(
    dataset_name: str, settings: DatasetSettings, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the problems of a dataset, train before test, and the rows that were rejected.

    A question that repeats is rejected after its first row; a train question that is also in
    the test file is rejected from train. ``seed`` draws word problems.

    Raises:
        ValueError: a file is missing, holds no problem or more bad rows than
            ``max_rejected_share``, or a needed field of the profile is not set.
    """
    rejections: list[Rejection] = []
    if settings.source == "word_problems":
        train, test = (
            _draw(dataset_name, split, count, seed)
            for split, count in (("train", settings.num_train), ("test", settings.num_test))
        )
    else:
        seen: dict[str, Line] = {}
        test = _read(dataset_name, settings, "test", seen, rejections)
        train = _read(dataset_name, settings, "train", seen, rejections)
        num_rows = len(train) + len(test) + len(rejections)
        _refuse_many(rejections, num_rows, settings, dataset_name)
        for split, problems in (("train", train), ("test", test)):
            if not problems:
                raise ValueError(f"datasets.{dataset_name}.{split}: the file holds no problem")
    kept = [*list(train.values())[: settings.num_train], *list(test.values())[: settings.num_test]]
    frame = pl.DataFrame([asdict(problem) for problem in kept], schema=PROBLEMS.schema)
    return frame, rejected_frame(dataset_name, rejections)


def load_solutions(
    dataset_name: str, settings: DatasetSettings, problems: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the imported solutions of the given test problems, graded, and the rejected rows.

    ``problems`` may be a part of the dataset, such as one shard: solutions of its other
    problems are left out silently, and rejected rows are the same whatever the part. The
    formats of a row are those of :func:`shepherd.datasets.imported_solution`.

    Raises:
        ValueError: ``solutions`` is not set, a file is missing, or more rows than
            ``max_rejected_share`` are bad or match no test problem.
    """
    if settings.solutions is None:
        raise ValueError(f"datasets.{dataset_name}.solutions: set it to a .jsonl or .jsonl.gz file")
    if settings.source != "gsm8k":
        raise ValueError(
            f"datasets.{dataset_name}.solutions: leave it out, {settings.source} are drawn anew "
            "and have no solutions sampled elsewhere"
        )
    by_row = _read(dataset_name, settings, "test", {}, [])
    by_id = {problem.problem_id: problem for problem in by_row.values()}
    drawn: Counter[ImportedSolution] = Counter()
    rejections: list[Rejection] = []
    num_rows = 0
    path = Path(settings.solutions).expanduser()
    for line in read_rows(path, f"datasets.{dataset_name}.solutions"):
        num_rows += 1
        try:
            drawn[imported_solution(line.parse(), dataset_name, by_id, by_row)] += 1
        except ValueError as error:
            rejections.append(Rejection.of(line, str(error)))
    _refuse_many(rejections, num_rows, settings, dataset_name)
    tests = problems.filter(split="test")
    ungraded = _ungraded(drawn).join(tests, on="problem_id", how="semi", maintain_order="left")
    graded = grade_completions(ungraded, tests).select(SOLUTIONS.schema.keys())
    return graded, rejected_frame(dataset_name, rejections)


def _ungraded(drawn: Counter[ImportedSolution]) -> pl.DataFrame:
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
        for solution, num_samples in drawn.items()
    ]
    graded = ("answer", "is_correct", "grade_reason")
    schema = {name: dtype for name, dtype in SOLUTIONS.schema.items() if name not in graded}
    return pl.DataFrame(rows, schema=schema)


def _draw(dataset: str, split: str, count: int | None, seed: int) -> dict[int, Problem]:
    if count is None:
        raise ValueError(f"datasets.{dataset}.num_{split}: set it, word problems have no end")
    drawn = draw_problems(seed, split, count)
    return {row: word_problem(problem, dataset, split) for row, problem in enumerate(drawn)}


def _read(
    dataset: str,
    settings: DatasetSettings,
    split: str,
    seen: dict[str, Line],
    rejections: list[Rejection],
) -> dict[int, Problem]:
    """Return the problems of a split by row; add what was met to ``seen`` and ``rejections``."""
    problems: dict[int, Problem] = {}
    for row, line in enumerate(_published(dataset, settings, split)):
        try:
            problem = gsm8k_problem(line.parse(), dataset, split)
            first = seen.setdefault(problem.problem_id, line)
            if first is not line:
                raise ValueError(f"question: repeats {first.file} line {first.number}")
        except ValueError as error:
            rejections.append(Rejection.of(line, str(error)))
        else:
            problems[row] = problem
    return problems


def _published(dataset: str, settings: DatasetSettings, split: str) -> Iterable[Line]:
    if (settings.train is None) != (settings.test is None):
        raise ValueError(f"datasets.{dataset}: set both train and test, or neither (hub)")
    path = settings.test if split == "test" else settings.train
    if path is None:
        return _hub_lines(dataset, split)
    return read_rows(Path(path).expanduser(), f"datasets.{dataset}.{split}")


def _hub_lines(dataset: str, split: str) -> Iterator[Line]:
    name = "openai/gsm8k"
    way_out = f"set datasets.{dataset}.train and .test to the published .jsonl files"
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"{name}: the package datasets is not installed: {way_out}") from error
    try:
        rows = datasets.load_dataset(name, "main", split=split)
    except OSError as error:
        raise ValueError(f"{name}: cannot be read from the hub: {way_out}") from error
    for number, row in enumerate(rows, start=1):
        yield Line(f"{name}/{split}", number, json.dumps(row).encode())


def _refuse_many(
    rejections: list[Rejection], num_rows: int, settings: DatasetSettings, dataset: str
) -> None:
    refuse_many(
        next(iter(rejections), None),
        len(rejections),
        num_rows,
        settings.max_rejected_share,
        f"datasets.{dataset}.max_rejected_share",
    )
