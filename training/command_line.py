"""Share flags, checks and one-line errors between the command lines of the trainers."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, TypeVar, get_args, get_origin

import polars as pl
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from resources.files.hub import hub_refusal
from shepherd.messages import one_line
from shepherd.settings import Section
from training.example_rows import check_columns
from training.runs import TrainingReport

AnySection = TypeVar("AnySection", bound=Section)


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every trainer has: base, output folder and seed."""
    parser.add_argument(
        "--base", required=True, help="model to start from: checkpoint folder or hub name"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default: 0)")


def train_on_draws(
    prog: str,
    description: str,
    train: Callable[[argparse.Namespace], TrainingReport],
    *,
    count_flag: str,
    default_count: int,
    rows: str,
) -> None:
    """Run a trainer that draws its own examples, and print a summary.

    Args:
        prog: the command, for messages.
        description: says what the trainer does.
        train: trains by the flags ``base``, ``out``, ``seed`` and ``num_examples``.
        count_flag: the flag that sets ``num_examples``.
        default_count: its default.
        rows: what the trainer calls its examples.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    add_common_flags(parser)
    parser.add_argument(
        count_flag,
        dest="num_examples",
        metavar="NUMBER",
        type=int,
        default=default_count,
        help=f"{rows} to draw and train on (default: {default_count:,})",
    )
    args = parser.parse_args()
    with exit_on_mistake(prog):
        report = train(args)
        print(f"{report.summary(rows)}; saved to {args.out}")


def add_data_flags(parser: argparse.ArgumentParser, rows: str) -> None:
    """Add the flags of trainers that read files; ``rows`` says what the files of --data hold."""
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help=f"Parquet files of {rows}"
    )
    parser.add_argument(
        "--work",
        type=Path,
        help="folder from which a killed run resumes (default: .OUT.training beside OUT)",
    )
    parser.add_argument(
        "--template",
        default="plain",
        help="prompt template: plain, metamath, chat, or a text with {question} (default: plain)",
    )


def add_fields(
    parser: argparse.ArgumentParser, section: type[Section], without: Collection[str] = ()
) -> None:
    """Add a flag for each field of a section but those of ``without``."""
    group = parser.add_argument_group(section.__name__, (section.__doc__ or "").split("\n")[0])
    for name, field in section.model_fields.items():
        if name not in without:
            group.add_argument(
                f"--{name.replace('_', '-')}",
                default=argparse.SUPPRESS,
                metavar=_values_of(field.annotation),
                help=_help_of(field),
            )


def _values_of(annotation: object) -> str:
    """Return what a flag takes, for the help: choices, true or false, or the kind of number."""
    if get_origin(annotation) is Literal:
        return "{" + ",".join(map(str, get_args(annotation))) + "}"
    if isinstance(annotation, UnionType):
        [annotation] = [part for part in get_args(annotation) if part is not NoneType]
    names = {bool: "{true,false}", int: "INTEGER", float: "NUMBER"}
    return next((name for kind, name in names.items() if annotation is kind), "VALUE")


def _help_of(field: FieldInfo) -> str:
    description = f"{field.description} " if field.description else ""
    default = "none" if field.default is None else field.default
    if isinstance(default, bool):
        default = str(default).lower()
    suffix = "(required)" if field.is_required() else f"(default: {default})"
    # argparse formats help texts with %.
    return f"{description}{suffix}".replace("%", "%%")


def read_fields(args: argparse.Namespace, section: type[AnySection], **fields: str) -> AnySection:
    """Return the section that flags and ``fields`` describe.

    Raises:
        ValueError: a flag has a value that the section refuses. The message names the flags.
    """
    given = {name: value for name, value in vars(args).items() if name in section.model_fields}
    try:
        return section.model_validate(given | fields)
    except ValidationError as error:
        raise ValueError(
            "; ".join(
                " ".join(f"--{str(part).replace('_', '-')}:" for part in mistake["loc"])
                + f" {mistake['msg']}"
                for mistake in error.errors()
            )
        ) from error


def flags_of(section: Section, without: Collection[str] = ()) -> list[str]:
    """Return the flags that describe a section, but for the fields of ``without``."""
    fields = section.model_dump(exclude_none=True, exclude=set(without))
    return [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]


def scan_files(paths: Sequence[Path], flag: str) -> pl.LazyFrame:
    """Return the rows of Parquet files.

    Raises:
        ValueError: a file does not exist or is not Parquet, or files have different columns.
    """
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{flag}: no file {path.resolve()}: correct the path")
    files = [pl.scan_parquet(path, glob=False) for path in paths]
    try:
        # Files may differ in columns that are not read, and in the types of their numbers.
        rows = pl.concat(files, how="diagonal_relaxed")
        rows.collect_schema()
    except pl.exceptions.PolarsError as error:
        names = ", ".join(map(str, paths))
        cause = one_line(str(error))
        raise ValueError(f"{flag}: {names} cannot be read as Parquet: {cause}") from error
    return rows


def require_columns(rows: pl.LazyFrame, columns: Sequence[str], flag: str) -> None:
    """Check that rows have columns.

    Raises:
        ValueError: some are missing. The message names them and the columns that there are.
    """
    check_columns(rows.collect_schema().names(), columns, flag)


def check_model(name: str, flag: str) -> None:
    """Check that a checkpoint folder or a model of the hub can be loaded.

    Raises:
        ValueError: it is neither, or the hub is out of reach.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"{flag}: {folder.resolve()} has no config.json: name a checkpoint folder"
            )
    elif name.count("/") != 1 or name.startswith("."):
        raise ValueError(
            f"{flag}: no folder {folder.resolve()}: correct the path, or name a model of the hub "
            "as owner/name"
        )
    elif refusal := hub_refusal(name, "config.json", "model"):
        raise ValueError(f"{flag}: no folder {folder.resolve()}, and as a hub name: {refusal}")


@contextmanager
def exit_on_mistake(prog: str) -> Iterator[None]:
    """End the process with one line and exit status 2 for a ValueError: a mistake of the user."""
    try:
        yield
    except ValueError as error:
        print(f"{prog}: error: {one_line(str(error))}", file=sys.stderr)
        raise SystemExit(2) from error
