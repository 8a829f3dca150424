"""Problems of a dataset, and solutions of them that were sampled elsewhere."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import polars as pl

from resources.files.hub import hub_refusal
from resources.files.rows import Line, Rejection, read_rows, refuse_many, rejected_frame
from resources.sampling.completion_grading import grade_completions
from shepherd.datasets import (
    ImportedSolution,
    Problem,
    gsm8k_problem,
    imported_solutions,
    mapped_problem,
    math_problem,
    metamath_problem,
    question_key,
    word_problem,
)
from shepherd.identity import content_id
from shepherd.schemas import PROBLEMS, SOLUTIONS
from shepherd.settings import DatasetSettings, Settings, Split
from shepherd.word_problems import draw_problems

_log = logging.getLogger(__name__)

TESTED_ELSEWHERE = "question: another dataset tests on it: "
"""Begins the reason of a rejected row in which nothing is wrong, so that no file is refused."""

_MATH = "DigitalLearningGmbH/MATH-lighteval"
_HUB: dict[tuple[str, str, Split], list[tuple[str, str | None, str]]] = {
    ("gsm8k", "published", "train"): [("openai/gsm8k", "main", "train")],
    ("gsm8k", "published", "test"): [("openai/gsm8k", "main", "test")],
    ("math", "published", "train"): [(_MATH, None, "train")],
    ("math", "published", "test"): [(_MATH, None, "test")],
    ("math", "lightman", "train"): [(_MATH, None, "train"), (_MATH, None, "test")],
    ("math", "lightman", "test"): [("HuggingFaceH4/MATH-500", None, "test")],
    ("metamath", "published", "train"): [("meta-math/MetaMathQA", None, "train")],
}
"""Name, configuration and split on the hub, by source, split of the profile, and ours."""


def load_problems(
    dataset_name: str,
    settings: DatasetSettings,
    seed: int,
    tests_elsewhere: Mapping[str, Line] = MappingProxyType({}),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the problems of a dataset, train before test, and the rows that were rejected.

    A question that repeats, but for case and whitespace, is rejected after its first row. A train
    question that is also in the test file is rejected from train; or left out, where the split is
    Lightman's: it is meant to be. One that is in ``tests_elsewhere`` (of
    :func:`questions_tested_elsewhere`) is rejected for :data:`TESTED_ELSEWHERE`, and not counted
    as bad. ``seed`` draws word problems.

    Raises:
        ValueError: a file is missing, holds no problem to keep or more bad rows than
            ``max_rejected_share``, or a needed field of the profile is not set.
    """
    if settings.source == "word_problems":
        train, test = (
            _draw(dataset_name, split, count, seed)
            for split, count in (("train", settings.num_train), ("test", settings.num_test))
        )
        rejections: list[Rejection] = []
    else:
        read = _read(dataset_name, settings, tests_elsewhere)
        train, test, rejections = read.train, read.test, read.rejections
        num_rows = len(train) + len(test) + len(rejections)
        _refuse_many(rejections, num_rows, settings, dataset_name)
        for split, problems in (("train", train), ("test", test)):
            if not problems and (settings.source, split) != ("metamath", "test"):
                raise ValueError(
                    f"datasets.{dataset_name}.{split}: the file holds no problem to keep"
                )
    kept = [*list(train.values())[: settings.num_train], *list(test.values())[: settings.num_test]]
    frame = pl.DataFrame([asdict(problem) for problem in kept], schema=PROBLEMS.schema)
    return frame, rejected_frame(dataset_name, rejections)


def load_problems_of(settings: Settings, dataset_name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return :func:`load_problems` of a profile's dataset, without what its others test on."""
    elsewhere = questions_tested_elsewhere(settings.datasets, dataset_name)
    return load_problems(dataset_name, settings.datasets[dataset_name], settings.seed, elsewhere)


def questions_tested_elsewhere(
    datasets: Mapping[str, DatasetSettings], dataset_name: str
) -> dict[str, Line]:
    """Return the rows of the other datasets' test questions by :func:`question_key`.

    What cannot be read of them is left out with a warning, as it is not this dataset's fault.
    Word problems, whose training is drawn apart from their tests, neither have nor need any.
    """
    found: dict[str, Line] = {}
    if datasets[dataset_name].source == "word_problems":
        return found
    for name, settings in datasets.items():
        if name == dataset_name or settings.source == "word_problems":
            continue
        try:
            for question, line in _test_questions(name, settings):
                found.setdefault(question_key(question), line)
        except (ValueError, OSError) as error:
            _log.warning(
                "datasets.%s: test questions of %s may stay in its training: %s",
                dataset_name,
                name,
                error,
            )
    return found


def _test_questions(dataset: str, settings: DatasetSettings) -> Iterator[tuple[str, Line]]:
    for line in _published(dataset, settings, "test"):
        try:
            problem = _parsed(line.parse(), dataset, "test", settings)
        except ValueError:
            continue
        yield problem.question, line


def load_solutions(
    dataset_name: str,
    settings: DatasetSettings,
    problems: pl.DataFrame,
    tests_elsewhere: Mapping[str, Line] = MappingProxyType({}),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the imported solutions of the given problems, graded, and the rejected rows.

    They are of ``solutions_split``. ``problems`` may be a part of the dataset, such as one shard:
    solutions of its other problems are left out silently, and rejected rows are the same whatever
    the part. The formats of a row are those of :func:`shepherd.datasets.imported_solutions`.
    ``tests_elsewhere`` is that of :func:`load_problems`: solutions of train problems that were
    rejected for it are rejected too, and not counted as bad.

    Raises:
        ValueError: ``solutions`` is not set, a file is missing or empty, or more rows than
            ``max_rejected_share`` are bad or match no problem.
    """
    if settings.solutions is None:
        raise ValueError(f"datasets.{dataset_name}.solutions: set it to a .jsonl or .parquet file")
    if settings.source == "word_problems":
        raise ValueError(
            f"datasets.{dataset_name}.solutions: leave it out, {settings.source} are drawn anew "
            "and have no solutions sampled elsewhere"
        )
    read = _read(dataset_name, settings, tests_elsewhere)
    is_train = settings.solutions_split == "train"
    by_row = {**read.train, **read.tested_elsewhere} if is_train else read.test
    by_id = {problem.problem_id: problem for problem in by_row.values()}
    by_question = {question_key(problem.question): problem for problem in by_row.values()}
    drawn: Counter[ImportedSolution] = Counter()
    kept = settings.splitting.clean
    rejections: list[Rejection] = []
    num_rows = 0
    path = Path(settings.solutions).expanduser()
    for line in read_rows(path, f"datasets.{dataset_name}.solutions"):
        num_rows += 1
        try:
            found = imported_solutions(line.parse(), by_id, by_question, by_row)
            if is_train:
                _require_untested(by_id[found[0].problem_id], tests_elsewhere)
            drawn.update(replace(solution, text=kept(solution.text)) for solution in found)
        except ValueError as error:
            rejections.append(Rejection.of(line, str(error)))
    if not num_rows:
        raise ValueError(f"{path}: holds no solutions: correct datasets.{dataset_name}.solutions")
    _refuse_many(rejections, num_rows, settings, dataset_name)
    asked = problems.filter(split=settings.solutions_split)
    ungraded = _ungraded(drawn).join(asked, on="problem_id", how="semi", maintain_order="left")
    graded = grade_completions(ungraded, asked).select(SOLUTIONS.schema.keys())
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


@dataclass
class _Published:
    """The problems of each split by their row, and the rows that were rejected.

    ``tested_elsewhere`` are the train problems that were rejected for this alone.
    """

    train: dict[int, Problem] = field(default_factory=dict)
    test: dict[int, Problem] = field(default_factory=dict)
    tested_elsewhere: dict[int, Problem] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)


def _read(
    dataset: str,
    settings: DatasetSettings,
    tests_elsewhere: Mapping[str, Line] = MappingProxyType({}),
) -> _Published:
    read = _Published()
    seen: dict[str, Line] = {}
    by_split: tuple[tuple[Split, dict[int, Problem]], ...]
    by_split = (("test", read.test), ("train", read.train))
    for split, problems in by_split:
        tests = frozenset(seen) if settings.split == "lightman" else frozenset[str]()
        for row, line in enumerate(_published(dataset, settings, split)):
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
                    _require_untested(problem, tests_elsewhere)
            except _TestedElsewhereError as error:
                read.tested_elsewhere[row] = problem
                read.rejections.append(Rejection.of(line, str(error)))
            except ValueError as error:
                read.rejections.append(Rejection.of(line, str(error)))
            else:
                problems[row] = problem
    return read


def _problem(row: object, dataset: str, split: str, settings: DatasetSettings) -> Problem:
    problem = _parsed(row, dataset, split, settings)
    if problem.gold_solution is None:
        return problem
    return replace(problem, gold_solution=settings.splitting.clean(problem.gold_solution))


def _parsed(row: object, dataset: str, split: str, settings: DatasetSettings) -> Problem:
    match settings.source:
        case "gsm8k":
            return gsm8k_problem(row, dataset, split)
        case "math":
            return math_problem(row, dataset, split)
        case "metamath":
            return metamath_problem(row, dataset, split)
        case _:
            columns = {str(name): column for name, column in settings.columns.items()}
            return mapped_problem(row, dataset, split, columns)


class _TestedElsewhereError(ValueError):
    """A problem must not be learnt from, as another dataset tests on it."""


def _require_untested(problem: Problem, tests_elsewhere: Mapping[str, Line]) -> None:
    tested = tests_elsewhere.get(question_key(problem.question))
    if tested is not None:
        raise _TestedElsewhereError(f"{TESTED_ELSEWHERE}{tested.file} line {tested.number}")


def _published(dataset: str, settings: DatasetSettings, split: Split) -> Iterable[Line]:
    train = (settings.train,) if isinstance(settings.train, str) else settings.train or ()
    test = (settings.test,) if settings.test else ()
    has_test = settings.source != "metamath"
    if bool(train) != bool(test) and has_test:
        raise ValueError(f"datasets.{dataset}: set both train and test, or neither (hub)")
    if not train and not test:
        hub = _HUB.get((settings.source, settings.split, split), [])
        if not hub and has_test:
            raise ValueError(f"datasets.{dataset}: set train and test to files")
        return chain.from_iterable(_hub_lines(dataset, *place) for place in hub)
    paths = train if split == "train" else test
    return chain.from_iterable(
        read_rows(Path(path).expanduser(), f"datasets.{dataset}.{split}") for path in paths
    )


def _hub_lines(dataset: str, name: str, config: str | None, split: str) -> Iterator[Line]:
    way_out = f"set datasets.{dataset}.train and .test to the published files"
    try:
        import datasets
    except ImportError as error:
        raise ValueError(
            f"{name}: to read it from the hub, pip install -c constraints.txt -e '.[hub]', "
            f"or {way_out}"
        ) from error
    if refusal := hub_refusal(name, "README.md", "dataset"):
        raise ValueError(f"{name}: {refusal}, or {way_out}")
    try:
        rows = datasets.load_dataset(name, config, split=split)
    except OSError as error:
        raise ValueError(f"{name}: cannot be read from the hub: {way_out}") from error
    for number, row in enumerate(rows, start=1):
        yield Line(f"{name}/{split}", number, json.dumps(row).encode())


def _refuse_many(
    rejections: list[Rejection], num_rows: int, settings: DatasetSettings, dataset: str
) -> None:
    bad = [each for each in rejections if not each.reason.startswith(TESTED_ELSEWHERE)]
    refuse_many(
        next(iter(bad), None),
        len(bad),
        num_rows,
        settings.max_rejected_share,
        f"datasets.{dataset}.max_rejected_share",
    )
