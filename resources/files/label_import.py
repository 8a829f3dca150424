"""Import published step labels, a batch at a time: memory does not grow with the files.

Labels go to ``<out>/labeled_solutions/part-*.parquet``, with the columns of LABELED_SOLUTIONS.
Rejected rows go to ``<out>/rejected/part-*.parquet``, with the columns of REJECTED.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from resources.files.lines import Line, Rejection, refuse_many, rejected_frame
from resources.files.rows import read_rows
from resources.storage.atomic import refuse_other_files, replacing_folder
from resources.storage.digests import check_digest, write_parquet
from shepherd.identity import content_id
from shepherd.label_formats import PARSERS, LabeledSolution, labeled_frame
from shepherd.settings import DEFAULT_SPLITTING, SplittingSettings

BATCH_ROWS, BATCH_BYTES = 2_000, 16 * 2**20
"""Rows and bytes at which a batch is parsed."""

PART_ROWS = 20_000
"""Rows from which a Parquet file is written."""

NUM_WORKERS = 2
"""Processes that parse."""


@dataclass(frozen=True)
class LabelRules:
    """How rows of labels are read."""

    format: str
    """A key of :data:`shepherd.label_formats.PARSERS`."""

    annotator: str
    """The name under which the labels are kept."""

    dataset: str | None = None
    """The dataset of the problems; each row's task if null."""

    task: str | None = None
    """The task whose rows are read; all if null."""

    known: frozenset[str] | None = None
    """Ids of the train problems of ``dataset``; rows of other problems are rejected."""

    splitting: SplittingSettings = DEFAULT_SPLITTING
    """What is stripped from steps. The file itself says where steps end."""


@dataclass
class ImportReport:
    """What an import counted.

    A solution that repeats is written once, with its first labels. Rows of another task, and rows
    that their format marks as unlabelled, are passed over. Broken rows are rejected.
    """

    num_rows: int = 0
    num_solutions: int = 0
    num_repeated: int = 0
    num_passed_over: int = 0
    num_rejected: int = 0


def import_labels(
    paths: Sequence[Path],
    out: Path,
    rules: LabelRules,
    *,
    max_rejected_share: float,
    fields: tuple[str, str] = ("FILE", "--max-rejected-share"),
    num_workers: int = NUM_WORKERS,
) -> ImportReport:
    """Import files of labels into the folder ``out``, which is replaced at the end.

    ``fields`` are for messages: what names the files, and what limits the share of rejected rows.

    Raises:
        ValueError: a file is missing or broken as a whole, no labels were read, more rows than
            ``max_rejected_share`` were rejected, or ``out`` holds other files. ``out`` then stays
            as it is.
    """
    refuse_other_files(out, {"labeled_solutions", "rejected"})
    report, first = ImportReport(), None
    seen: set[str] = set()
    lines = chain.from_iterable(read_rows(path, fields[0]) for path in paths)
    with replacing_folder(out) as folder:
        labels = _Parts(folder / "labeled_solutions")
        rejected = _Parts(folder / "rejected")
        for batch in _parsed(_batches(lines), rules, num_workers):
            fresh = _not_seen(batch.frame, seen)
            report.num_rows += batch.num_rows
            report.num_solutions += fresh.height
            report.num_repeated += batch.frame.height - fresh.height
            report.num_passed_over += batch.num_passed_over
            report.num_rejected += len(batch.rejections)
            first = first or next(iter(batch.rejections), None)
            labels.add(fresh)
            rejected.add(rejected_frame(rules.dataset or rules.annotator, batch.rejections))
        refuse_many(first, report.num_rejected, report.num_rows, max_rejected_share, fields[1])
        if not report.num_solutions:
            raise ValueError(f"{paths[0]}: holds no labels{_of_task(rules)}: correct the file")
        labels.close()
        rejected.close()
    return report


def _of_task(rules: LabelRules) -> str:
    return "" if rules.task is None else f" of the task {rules.task}"


def scan_labels(folder: Path) -> pl.LazyFrame:
    """Return the imported labels of a folder that :func:`import_labels` wrote.

    Raises:
        ValueError: a file is damaged: import the labels again.
    """
    return pl.scan_parquet(_checked(folder / "labeled_solutions"))


def read_rejected(folder: Path) -> pl.DataFrame:
    """Return the rows that :func:`import_labels` rejected, as the table REJECTED.

    Raises:
        ValueError: a file is damaged: import the labels again.
    """
    return pl.read_parquet(_checked(folder / "rejected"))


def _checked(folder: Path) -> list[Path]:
    """Return the files of a folder after their digests were checked."""
    paths = sorted(folder.glob("part-*.parquet"))
    for path in paths:
        try:
            check_digest(path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}: import the labels again") from None
    return paths


@dataclass(frozen=True)
class _Batch:
    frame: pl.DataFrame
    rejections: list[Rejection]
    num_rows: int
    num_passed_over: int


def parse_lines(lines: Sequence[Line], rules: LabelRules) -> _Batch:
    """Return the labelled solutions of some rows, in order, and the rows that were rejected."""
    parse = PARSERS[rules.format]
    solutions: list[LabeledSolution] = []
    rejections: list[Rejection] = []
    num_passed_over = 0
    for line in lines:
        try:
            parsed = parse(line.parse())
            if not parsed or (rules.task is not None and parsed[0].task != rules.task):
                num_passed_over += 1
                continue
            if rules.known is not None:
                _require_known(parsed[0].question, rules)
            solutions += _stripped(parsed, rules)
        except ValueError as error:
            rejections.append(Rejection.of(line, str(error)))
    frame = labeled_frame(solutions, rules.annotator, rules.dataset)
    return _Batch(frame, rejections, len(lines), num_passed_over)


def _parse_columns(
    files: Sequence[str],
    numbers: Sequence[int],
    texts: Sequence[bytes],
    faults: Sequence[str],
    rules: LabelRules,
) -> _Batch:
    return parse_lines(list(map(Line, files, numbers, texts, faults)), rules)


def _stripped(solutions: list[LabeledSolution], rules: LabelRules) -> list[LabeledSolution]:
    if rules.splitting.calculations == "keep":
        return solutions
    stripped = [
        solution._replace(steps=tuple(map(rules.splitting.clean, solution.steps)))
        for solution in solutions
    ]
    if not all(step.strip() for solution in stripped for step in solution.steps):
        raise ValueError("steps: one is a calculator annotation alone, and they are stripped")
    return stripped


def _require_known(question: str, rules: LabelRules) -> None:
    assert rules.known is not None
    assert rules.dataset is not None
    if content_id(rules.dataset, question.strip()) not in rules.known:
        raise ValueError(f"question: is that of no train problem of {rules.dataset}")


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    num_bytes = 0
    for line in lines:
        batch.append(line)
        num_bytes += len(line.raw)
        if len(batch) == BATCH_ROWS or num_bytes >= BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


def _parsed(batches: Iterator[list[Line]], rules: LabelRules, num_workers: int) -> Iterator[_Batch]:
    """Yield the batches in order, parsed by worker processes if there is more than one."""
    start = list(islice(batches, 2))
    if len(start) < 2:
        yield from (parse_lines(batch, rules) for batch in start)
        return
    # A forked process would inherit the locks of polars' threads.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        pending: deque[Future[_Batch]] = deque()
        for batch in chain(start, batches):
            if len(pending) > 2 * num_workers:
                yield pending.popleft().result()
            # Pickling columns takes a fifth of the time of pickling rows.
            files, numbers, texts, faults = zip(*batch, strict=True)
            pending.append(pool.submit(_parse_columns, files, numbers, texts, faults, rules))
        while pending:
            yield pending.popleft().result()


def _not_seen(frame: pl.DataFrame, seen: set[str]) -> pl.DataFrame:
    is_new = []
    for solution_id in frame["solution_id"]:
        is_new.append(solution_id not in seen)
        seen.add(solution_id)
    return frame.filter(pl.Series(is_new, dtype=pl.Boolean))


class _Parts:
    """Writes frames of one table as Parquet files of at least PART_ROWS rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: list[pl.DataFrame] = []
        self._num_written = 0
        folder.mkdir()

    def add(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)
        if sum(frame.height for frame in self._frames) >= PART_ROWS:
            self.close()

    def close(self) -> None:
        """Write the gathered rows; the first file is written even if it is empty."""
        gathered = pl.concat(self._frames)
        if gathered.height or not self._num_written:
            path = self._folder / f"part-{self._num_written:05d}.parquet"
            with path.open("wb") as file:
                write_parquet(gathered, file)
            self._num_written += 1
        self._frames = [gathered.clear()]
