"""Problems of a dataset."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import polars as pl

from resources.jsonl import Line, Rejection, read_lines, refuse_many, rejected_frame
from shepherd.datasets import Problem, gsm8k_problem, word_problem
from shepherd.schemas import PROBLEMS
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
        refuse_many(rejections, num_rows, settings.max_rejected_share, dataset_name)
        for split, problems in (("train", train), ("test", test)):
            if not problems:
                raise ValueError(f"datasets.{dataset_name}.{split}: the file holds no problem")
    kept = [*list(train.values())[: settings.num_train], *list(test.values())[: settings.num_test]]
    frame = pl.DataFrame([asdict(problem) for problem in kept], schema=PROBLEMS.schema)
    return frame, rejected_frame(dataset_name, rejections)


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
            rejections.append(Rejection(line, str(error)))
        else:
            problems[row] = problem
    return problems


def _published(dataset: str, settings: DatasetSettings, split: str) -> Iterable[Line]:
    if (settings.train is None) != (settings.test is None):
        raise ValueError(f"datasets.{dataset}: set both train and test, or neither (hub)")
    path = settings.test if split == "test" else settings.train
    if path is None:
        return _hub_lines(dataset, split)
    return read_lines(Path(path).expanduser(), f"datasets.{dataset}.{split}")


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
