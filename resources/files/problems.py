"""Load the problems of a dataset: drawn, from files or from the hub."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType

import polars as pl

from resources.files.lines import Line, Rejection, refuse_many, rejected_frame
from resources.files.problem_rows import parse_problem, problem_rows
from shepherd.datasets import Problem, question_key, word_problem
from shepherd.identity import content_id
from shepherd.schemas import PROBLEMS
from shepherd.settings import DatasetSettings, Settings, Split
from shepherd.word_problems import draw_problems

_log = logging.getLogger(__name__)

TESTED_ELSEWHERE = "question: another dataset tests on it: "
"""Begins the reason of a rejected row that is not bad: such rows refuse no file."""

ProblemsByRow = dict[int, Problem]
"""Problems by their row in the files of a split, counted from 0."""


def load_problems(
    dataset_name: str,
    settings: DatasetSettings,
    seed: int,
    tests_elsewhere: Mapping[str, Line] = MappingProxyType({}),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the problems of a dataset, train before test, and the rejected rows.

    Where a question repeats, but for case and whitespace, the later rows are rejected. A train
    question that is also a test question is rejected; with the split ``lightman`` it is left out.
    A train question of ``tests_elsewhere`` (of :func:`questions_tested_elsewhere`) is rejected
    with the reason :data:`TESTED_ELSEWHERE` and not counted as bad. ``seed`` draws word problems.

    Raises:
        ValueError: a file is missing, has no usable problem or more bad rows than
            ``max_rejected_share``, or a needed field of the profile is not set.
    """
    if settings.source == "word_problems":
        train, test = (
            _draw(dataset_name, split, count, seed)
            for split, count in (("train", settings.num_train), ("test", settings.num_test))
        )
        rejections: list[Rejection] = []
    else:
        read = read_problem_files(dataset_name, settings, tests_elsewhere)
        train, test, rejections = read.train, read.test, read.rejections
        num_rows = len(train) + len(test) + len(rejections)
        refuse_many_bad(rejections, num_rows, settings, dataset_name)
        for split, problems in (("train", train), ("test", test)):
            if not problems and (split == "train" or settings.has_test):
                raise ValueError(
                    f"datasets.{dataset_name}.{split}: the file holds no problem to keep"
                )
    chosen = _chosen(train, settings.num_train, settings) + _chosen(
        test, settings.num_test, settings
    )
    frame = pl.DataFrame([asdict(problem) for problem in chosen], schema=PROBLEMS.schema)
    return frame, rejected_frame(dataset_name, rejections)


def _chosen(problems: ProblemsByRow, limit: int | None, settings: DatasetSettings) -> list[Problem]:
    """Return at most ``limit`` problems in the order of their rows."""
    rows = list(problems)
    if settings.choose == "hash":
        # Shards are chosen by the id itself.
        rows.sort(key=lambda row: content_id("chosen", problems[row].problem_id))
    return [problems[row] for row in sorted(rows[:limit])]


def load_problems_of(settings: Settings, dataset_name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Load a profile's dataset without train questions that its other datasets test on."""
    elsewhere = questions_tested_elsewhere(settings.datasets, dataset_name)
    return load_problems(dataset_name, settings.datasets[dataset_name], settings.seed, elsewhere)


def questions_tested_elsewhere(
    datasets: Mapping[str, DatasetSettings], dataset_name: str
) -> dict[str, Line]:
    """Return the rows of the other datasets' test questions by :func:`question_key`.

    A dataset that cannot be read is left out with a warning, as the mistake is not in this one.
    Word problems are left out: their train and test problems are drawn apart.
    """
    rows: dict[str, Line] = {}
    if datasets[dataset_name].source == "word_problems":
        return rows
    for name, settings in datasets.items():
        if name == dataset_name or settings.source == "word_problems":
            continue
        try:
            for question, line in _test_questions(name, settings):
                rows.setdefault(question_key(question), line)
        except (ValueError, OSError) as error:
            _log.warning(
                "datasets.%s: test questions of %s may stay in its training: %s",
                dataset_name,
                name,
                error,
            )
    return rows


def _test_questions(dataset: str, settings: DatasetSettings) -> Iterator[tuple[str, Line]]:
    """Yield the test questions of a dataset with their rows; rows that cannot be read have none."""
    for line in problem_rows(dataset, settings, "test"):
        try:
            problem = parse_problem(line.parse(), dataset, "test", settings)
        except ValueError:
            continue
        yield problem.question, line


def _draw(dataset: str, split: str, count: int | None, seed: int) -> ProblemsByRow:
    if count is None:
        raise ValueError(f"datasets.{dataset}.num_{split}: set it, word problems have no end")
    drawn = draw_problems(seed, split, count)
    return {row: word_problem(problem, dataset, split) for row, problem in enumerate(drawn)}


@dataclass
class ProblemFiles:
    """The problems of a dataset's files, and the rejected rows."""

    train: ProblemsByRow = field(default_factory=dict)
    test: ProblemsByRow = field(default_factory=dict)
    tested_elsewhere: ProblemsByRow = field(default_factory=dict)
    """Train problems that were rejected because another dataset tests on them."""

    rejections: list[Rejection] = field(default_factory=list)


def read_problem_files(
    dataset: str,
    settings: DatasetSettings,
    tests_elsewhere: Mapping[str, Line] = MappingProxyType({}),
) -> ProblemFiles:
    """Read all problems of a dataset's files, test before train (:func:`load_problems`).

    Raises:
        ValueError: a file is missing or broken as a whole, or a needed field is not set.
    """
    read = ProblemFiles()
    seen: dict[str, Line] = {}
    by_split: tuple[tuple[Split, ProblemsByRow], ...]
    by_split = (("test", read.test), ("train", read.train))
    for split, problems in by_split:
        tests = frozenset(seen) if settings.split == "lightman" else frozenset[str]()
        for row, line in enumerate(problem_rows(dataset, settings, split)):
            try:
                problem = _problem(line.parse(), dataset, split, settings)
                by_text = settings.source != "metamath"
                key = question_key(problem.question) if by_text else problem.problem_id
                if key in tests:
                    continue
                first = seen.setdefault(key, line)
                if first is not line:
                    raise ValueError(f"question: repeats {first.file} line {first.number}")
                if split == "train":
                    check_untested(problem, tests_elsewhere)
            except _TestedElsewhereError as error:
                read.tested_elsewhere[row] = problem
                read.rejections.append(Rejection.of(line, str(error)))
            except ValueError as error:
                read.rejections.append(Rejection.of(line, str(error)))
            else:
                problems[row] = problem
    return read


def _problem(row: object, dataset: str, split: str, settings: DatasetSettings) -> Problem:
    problem = parse_problem(row, dataset, split, settings)
    if problem.gold_solution is None:
        return problem
    return replace(problem, gold_solution=settings.splitting.clean(problem.gold_solution))


class _TestedElsewhereError(ValueError):
    """Says that another dataset tests on a train problem."""


def check_untested(problem: Problem, tests_elsewhere: Mapping[str, Line]) -> None:
    """Check that no other dataset tests on a train problem.

    Raises:
        ValueError: one does; the reason begins with :data:`TESTED_ELSEWHERE`.
    """
    tested = tests_elsewhere.get(question_key(problem.question))
    if tested is not None:
        raise _TestedElsewhereError(f"{TESTED_ELSEWHERE}{tested.file} line {tested.number}")


def refuse_many_bad(
    rejections: list[Rejection], num_rows: int, settings: DatasetSettings, dataset: str
) -> None:
    """Check that the share of bad rows is at most the dataset's ``max_rejected_share``.

    Raises:
        ValueError: it is more; the message names the first bad row.
    """
    bad = [each for each in rejections if not each.reason.startswith(TESTED_ELSEWHERE)]
    refuse_many(
        next(iter(bad), None),
        len(bad),
        num_rows,
        settings.max_rejected_share,
        f"datasets.{dataset}.max_rejected_share",
    )
