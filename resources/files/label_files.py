"""Files of step labels, in and out, a batch at a time: memory does not grow with the file.

    python -m resources.files.label_files import math-shepherd.jsonl --format math_shepherd \\
        --annotator math_shepherd --out labels
    python -m resources.files.label_files export labels --format trl --out labels_trl

What is imported lies in ``<out>/labeled_solutions/part-*.parquet``, with the columns of the table,
and what was set aside in ``<out>/rejected/part-*.parquet``. What is exported lies in
``<out>/train.jsonl`` or ``train.parquet`` beside its dataset card, as ``datasets`` loads it.
"""

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl

from resources.files.rows import Line, Rejection, read_rows, refuse_many, rejected_frame
from resources.storage.atomic import replacing_folder
from shepherd.dataset_card import CardFacts, LabelCounts, render_card
from shepherd.identity import content_id
from shepherd.label_formats import PARSERS, RENDERERS, LabeledSolution, labeled_frame
from shepherd.schemas import LABELED_SOLUTIONS, enforce
from shepherd.settings import DEFAULT_SPLITTING, SplittingSettings

BATCH_ROWS, BATCH_BYTES = 2_000, 16 * 2**20
PART_ROWS = 20_000
NUM_WORKERS = 2


@dataclass(frozen=True)
class Rules:
    """How rows of labels are read.

    Without ``dataset`` each row's task names its dataset. Rows of another ``task`` than the one
    given are passed over. With ``known``, a problem's id must be one of these: the train
    problems of ``dataset``. ``splitting`` says what is kept of a step; where steps end is the
    file's word.
    """

    format: str
    annotator: str
    dataset: str | None = None
    task: str | None = None
    known: frozenset[str] | None = None
    splitting: SplittingSettings = DEFAULT_SPLITTING


@dataclass
class ImportReport:
    """What an import counted. A repeated solution is kept once, with its first labels.

    Rows are passed over that are of another task, or of which their format says that they hold
    no labels; rejected are those that are broken.
    """

    num_rows: int = 0
    num_solutions: int = 0
    num_repeated: int = 0
    num_passed_over: int = 0
    num_rejected: int = 0


def import_labels(
    paths: Sequence[Path],
    out: Path,
    rules: Rules,
    *,
    max_rejected_share: float,
    fields: tuple[str, str] = ("FILE", "--max-rejected-share"),
    num_workers: int = NUM_WORKERS,
) -> ImportReport:
    """Read files of labels into the folder ``out``, which is replaced once all went in.

    ``fields`` are the names, for messages, of what names the files and of what limits rejections.

    Raises:
        ValueError: a file is missing or broken as a whole, no row is left, more rows than
            ``max_rejected_share`` are bad, or ``out`` holds something else; it is then as it was.
    """
    _refuse_others(out, {"labeled_solutions", "rejected"})
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


def _refuse_others(out: Path, ours: set[str]) -> None:
    """Raise ValueError if replacing ``out`` would remove what was not written there by us."""
    found = {path.name for path in out.iterdir()} if out.is_dir() else set[str]()
    if found - ours or out.is_file():
        raise ValueError(f"{out}: would be replaced, and holds something else: name a new folder")


def _of_task(rules: Rules) -> str:
    return "" if rules.task is None else f" of the task {rules.task}"


def scan_labels(folder: Path) -> pl.LazyFrame:
    """Return the imported labels of a folder that :func:`import_labels` wrote."""
    return pl.scan_parquet(folder / "labeled_solutions" / "part-*.parquet")


def read_rejected(folder: Path) -> pl.DataFrame:
    """Return the rows that :func:`import_labels` set aside, as the table REJECTED."""
    return pl.read_parquet(folder / "rejected" / "part-*.parquet")


@dataclass(frozen=True)
class _Batch:
    frame: pl.DataFrame
    rejections: list[Rejection]
    num_rows: int
    num_passed_over: int


def parse_lines(lines: Sequence[Line], rules: Rules) -> _Batch:
    """Return the labelled solutions of some rows, in order, and the rows that were rejected."""
    parse = PARSERS[rules.format]
    solutions: list[LabeledSolution] = []
    rejections: list[Rejection] = []
    num_passed_over = 0
    for line in lines:
        try:
            found = parse(line.parse())
            if not found or (rules.task is not None and found[0].task != rules.task):
                num_passed_over += 1
                continue
            if rules.known is not None:
                _require_known(found[0].question, rules)
            solutions += _kept(found, rules)
        except ValueError as error:
            rejections.append(Rejection.of(line, str(error)))
    frame = labeled_frame(solutions, rules.annotator, rules.dataset)
    return _Batch(frame, rejections, len(lines), num_passed_over)


def _parse_columns(columns: tuple[tuple[Any, ...], ...], rules: Rules) -> _Batch:
    return parse_lines(list(map(Line, *columns)), rules)


def _kept(solutions: list[LabeledSolution], rules: Rules) -> list[LabeledSolution]:
    if rules.splitting.calculations == "keep":
        return solutions
    kept = [
        solution._replace(steps=tuple(map(rules.splitting.clean, solution.steps)))
        for solution in solutions
    ]
    if not all(step.strip() for solution in kept for step in solution.steps):
        raise ValueError("steps: one is a calculator annotation alone, and they are stripped")
    return kept


def _require_known(question: str, rules: Rules) -> None:
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


def _parsed(batches: Iterator[list[Line]], rules: Rules, num_workers: int) -> Iterator[_Batch]:
    """Yield the batches in order, parsed by worker processes if there is more than one."""
    start = list(islice(batches, 2))
    if len(start) < 2:
        yield from (parse_lines(batch, rules) for batch in start)
        return
    # A forked child would inherit the locks of polars' threads.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        pending: deque[Future[_Batch]] = deque()
        for batch in chain(start, batches):
            if len(pending) > 2 * num_workers:
                yield pending.popleft().result()
            # Columns travel to another process in a fifth of the time that rows take.
            columns = tuple(zip(*batch, strict=True))
            pending.append(pool.submit(_parse_columns, columns, rules))
        while pending:
            yield pending.popleft().result()


def _not_seen(frame: pl.DataFrame, seen: set[str]) -> pl.DataFrame:
    is_new = []
    for solution_id in frame["solution_id"]:
        is_new.append(solution_id not in seen)
        seen.add(solution_id)
    return frame.filter(pl.Series(is_new, dtype=pl.Boolean))


class _Parts:
    """Frames of one table, gathered into Parquet files of at least PART_ROWS rows."""

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
        """Write what was gathered; the first part is written even if it is empty."""
        gathered = pl.concat(self._frames)
        if gathered.height or not self._num_written:
            path = self._folder / f"part-{self._num_written:05d}.parquet"
            gathered.rechunk().write_parquet(path, compression="zstd")
            self._num_written += 1
        self._frames = [gathered.clear()]


@dataclass
class ExportReport:
    """What an export counted. A solution whose text holds the format's tag cannot be written."""

    num_written: int = 0
    num_left_out: int = 0


def export_labels(
    batches: Iterable[pl.DataFrame],
    out: Path,
    format_name: str,
    file_type: str,
    facts: CardFacts,
) -> ExportReport:
    """Write ``labeled_solutions``, a batch at a time, into the folder ``out``, which is replaced.

    The task of a row is its dataset. A column ``generator``, where the batches have one, says who
    sampled each solution.

    Raises:
        ValueError: there is nothing to write, or ``out`` holds something else; it is then as it
            was.
    """
    assert file_type in FILE_TYPES
    _refuse_others(out, {"README.md", *(f"train.{each}" for each in FILE_TYPES)})
    report, counts = ExportReport(), LabelCounts()
    render, file_name = RENDERERS[format_name], f"train.{file_type}"
    with replacing_folder(out) as folder:
        with _writer(folder / file_name, format_name) as write:
            for batch in batches:
                counts += LabelCounts.of(batch)
                rows = []
                for solution in _solutions(batch):
                    try:
                        rows.append(render(solution))
                    except ValueError:
                        report.num_left_out += 1
                report.num_written += len(rows)
                # `datasets` cannot read a Parquet file that begins with an empty row group.
                if rows:
                    write(rows)
        if not report.num_written:
            raise ValueError(f"{out}: no labels to write: materialize labeled_solutions first")
        card = render_card(facts, counts, file_name, format_name)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return report


def read_batches(paths: Sequence[Path], batch_rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
    """Yield the rows of Parquet files of ``labeled_solutions``, in order.

    Raises:
        ValueError: a file is missing or not of that table, or a solution has no steps or not a
            hard and a soft label for each.
    """
    for path in paths:
        for frame in _frames(path, batch_rows):
            _require_label_of_each_step(path, frame)
            yield frame


def _frames(path: Path, batch_rows: int) -> Iterator[pl.DataFrame]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=batch_rows):
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield enforce(LABELED_SOLUTIONS, frame)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {error}: name files of labels") from error


def _require_label_of_each_step(path: Path, labels: pl.DataFrame) -> None:
    counted = labels.select("solution_id", pl.col("steps", "hard", "soft").list.len())
    steps = pl.col("steps")
    uneven = counted.filter((steps == 0) | (pl.col("hard") != steps) | (pl.col("soft") != steps))
    for solution_id, num_steps, num_hard, num_soft in uneven.head(1).iter_rows():
        raise ValueError(
            f"{path}: solution {solution_id} has {num_steps} steps, {num_hard} hard and {num_soft} "
            "soft labels, not one of each a step: correct its lists, or remove its row"
        )


def _solutions(batch: pl.DataFrame) -> Iterator[LabeledSolution]:
    generator = pl.col("generator") if "generator" in batch.columns else pl.lit("imported")
    columns = ("question", "steps", "hard", "soft", "is_correct", "dataset")
    for question, steps, hard, soft, is_correct, dataset, name in batch.select(
        *columns, generator.alias("generator")
    ).iter_rows():
        yield LabeledSolution(
            question, tuple(steps), tuple(hard), tuple(soft), is_correct, dataset, name
        )


FILE_TYPES = ("jsonl", "parquet")


@contextmanager
def _writer(path: Path, format_name: str) -> Iterator[Callable[[list[dict[str, object]]], object]]:
    """Open a file and give the function that adds rows to it."""
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as text_file:
            yield lambda rows: text_file.writelines(
                json.dumps(row, ensure_ascii=False) + "\n" for row in rows
            )
        return
    import pyarrow
    import pyarrow.parquet

    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    fields = {
        "math_shepherd": {"input": text, "label": text, "task": text},
        "trl": {"prompt": text, "completions": texts, "labels": pyarrow.list_(pyarrow.bool_())},
        "trl_float": {
            "prompt": text,
            "completions": texts,
            "labels": pyarrow.list_(pyarrow.float64()),
        },
        "processbench": {
            "id": text,
            "generator": text,
            "problem": text,
            "steps": texts,
            "final_answer_correct": pyarrow.bool_(),
            "label": pyarrow.int64(),
        },
    }
    schema = pyarrow.schema(list(fields[format_name].items()))
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        yield lambda rows: file.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def main(arguments: Sequence[str] | None = None) -> int:
    """Import or export as the command line says; return the exit code."""
    options = _command_line().parse_args(arguments)
    try:
        print(options.run(options))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _import(options: argparse.Namespace) -> ImportReport:
    if options.dataset is None and options.format != "math_shepherd":
        raise ValueError(f"--dataset: name it, as rows of {options.format} do not")
    rules = Rules(
        options.format,
        options.annotator,
        options.dataset,
        options.task,
        splitting=SplittingSettings(calculations=options.calculations),
    )
    return import_labels(
        options.files, options.out, rules, max_rejected_share=options.max_rejected_share
    )


def _export(options: argparse.Namespace) -> ExportReport:
    folder: Path = options.labels / "labeled_solutions"
    root = folder if folder.is_dir() else options.labels
    paths = sorted(root.rglob("*.parquet")) if root.is_dir() else [root]
    facts = CardFacts(title=options.title or options.out.name, license=options.license)
    return export_labels(read_batches(paths), options.out, options.format, options.file_type, facts)


def _folder(path: str) -> Path:
    return Path(path).absolute()


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m resources.files.label_files", description=__doc__)
    commands = parser.add_subparsers(required=True)
    reading = commands.add_parser("import", help="read published labels into Parquet")
    reading.add_argument("files", metavar="FILE", nargs="+", type=Path)
    reading.add_argument("--format", required=True, choices=sorted(PARSERS))
    reading.add_argument("--annotator", required=True, help="whose labels these are")
    reading.add_argument("--dataset", help="name of the dataset; each row's task if left out")
    reading.add_argument("--task", help="read rows of this task alone")
    reading.add_argument("--calculations", choices=("keep", "strip"), default="keep")
    reading.add_argument("--max-rejected-share", type=float, default=0.01)
    reading.add_argument("--out", required=True, type=_folder)
    reading.set_defaults(run=_import)
    writing = commands.add_parser("export", help="write labels in a published format")
    writing.add_argument("labels", metavar="LABELS", type=Path, help="a folder or Parquet file")
    writing.add_argument("--format", required=True, choices=sorted(RENDERERS))
    writing.add_argument("--file-type", choices=FILE_TYPES, default="jsonl")
    writing.add_argument("--title")
    writing.add_argument("--license", default="unknown", help="licence of the problems' source")
    writing.add_argument("--out", required=True, type=_folder)
    writing.set_defaults(run=_export)
    return parser


if __name__ == "__main__":
    sys.exit(main())
