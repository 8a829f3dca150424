"""Import and export files of step labels from the command line.

    python -m resources.files.label_files import math-shepherd.jsonl --format math_shepherd \\
        --annotator math_shepherd --out labels
    python -m resources.files.label_files export labels --format trl --out labels_trl
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from resources.files.label_export import FILE_TYPES, ExportReport, export_labels, read_batches
from resources.files.label_import import ImportReport, LabelRules, import_labels
from shepherd.dataset_card import CardFacts
from shepherd.label_formats import PARSERS, RENDERERS
from shepherd.settings import SplittingSettings


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
    rules = LabelRules(
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
