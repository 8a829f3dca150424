"""Export step labels in published formats, a batch at a time, with a dataset card.

A folder holds ``train.jsonl`` or ``train.parquet`` and the card ``README.md``;
``datasets.load_dataset`` reads it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from resources.storage.atomic import refuse_other_files, replacing_folder
from resources.storage.digests import check_digest
from shepherd.dataset_card import CardFacts, LabelCounts, render_card
from shepherd.label_formats import RENDERERS, LabeledSolution
from shepherd.schemas import LABELED_SOLUTIONS, enforce

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 2_000
"""Rows of a batch."""

FILE_TYPES = ("jsonl", "parquet")


@dataclass
class ExportReport:
    """What an export counted.

    A solution whose text holds the tag of the format is left out.
    """

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

    The task of a row is its dataset. Batches may have a column ``generator``, the name of the
    model that sampled the solution.

    Raises:
        ValueError: there is nothing to write, or ``out`` holds other files. ``out`` then stays as
            it is.
    """
    assert file_type in FILE_TYPES
    refuse_other_files(out, {"README.md", *(f"train.{each}" for each in FILE_TYPES)})
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
        check_digest(path)
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


@contextmanager
def _writer(path: Path, format_name: str) -> Iterator[Callable[[list[dict[str, object]]], object]]:
    """Open a file and give the function that adds rows to it."""
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as text_file:
            yield lambda rows: text_file.writelines(
                json.dumps(row, ensure_ascii=False) + "\n" for row in rows
            )
        return
    import pyarrow.parquet

    schema = _arrow_schema(format_name)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        yield lambda rows: file.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _arrow_schema(format_name: str) -> "pyarrow.Schema":
    """Return the columns of a format in a Parquet file."""
    import pyarrow

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
    return pyarrow.schema(list(fields[format_name].items()))
