"""Do two homes hold the same rows and the same model weights?

    python -m benchmarks.compare_homes HOME_A HOME_B [--json]

Reads every table of both lakes and compares it row by row: ids, draws, labels and scores, floats
exactly. A row is equal if it is in the same partition with the same values. Columns that say how an
engine worked (``EFFORTS``) do not count. A table of one side only is compared with the tables of
the other side whose names begin with its name and ``_`` (``rejected`` with ``rejected_problems``
and others), by the columns that all have. Checkpoints are compared by their tensors. stderr shows
what differs.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.command import Benchmark
from benchmarks.lake_differences import EFFORTS, LakeTable, TableDifference, compare, tables_of
from benchmarks.report import Result, at_most
from benchmarks.weight_differences import weight_files
from resources.storage.home import Home


def run(options: argparse.Namespace) -> list[Result]:
    """Return one result a table and a checkpoint: the number of rows or files that differ.

    Raises:
        ValueError: one of the folders holds no lake.
    """
    homes = [Home(folder) for folder in (options.home_a, options.home_b)]
    for home in homes:
        if not home.lake.is_dir():
            raise ValueError(f"{home.lake.absolute()} does not exist: give the folder of a home")
    print(f"columns that are not compared: {', '.join(EFFORTS)}", file=sys.stderr)
    return [
        *compare_lakes(homes[0].lake, homes[1].lake),
        *compare_models(homes[0].models, homes[1].models),
    ]


def compare_lakes(a: Path, b: Path) -> list[Result]:
    """Return the number of rows that differ in each table of two lakes."""
    return [_result(compare(*pair)) for pair in _pairs(tables_of(a), tables_of(b))]


def compare_models(a: Path, b: Path) -> list[Result]:
    """Return the number of weight files that differ in each checkpoint of two model folders."""
    files_a, files_b = weight_files(a), weight_files(b)
    differing: dict[str, int] = {}
    for path in sorted(files_a.keys() | files_b.keys()):
        checkpoint = path.parent.as_posix()
        is_different = files_a.get(path) != files_b.get(path)
        if is_different:
            sides = [side for side, files in (("A", files_a), ("B", files_b)) if path in files]
            print(f"model {path}: {_where(sides)}", file=sys.stderr)
        differing[checkpoint] = differing.get(checkpoint, 0) + is_different
    return [
        at_most(f"model {name}", count, "weight files that differ", 0)
        for name, count in differing.items()
    ]


def _pairs(a: dict[str, LakeTable], b: dict[str, LakeTable]) -> list[tuple[LakeTable, LakeTable]]:
    """Pair tables by name, and a table of one side only with its parts on the other side."""
    only_a, only_b = ({*one} - {*other} for one, other in ((a, b), (b, a)))
    pairs = {name: (a[name], b[name]) for name in a.keys() & b.keys()}
    for whole, parts, is_first in ((only_a, only_b, True), (only_b, only_a, False)):
        for name in sorted(whole):
            members = sorted(part for part in parts if part.startswith(f"{name}_"))
            if not members:
                continue
            here, there = (a, b) if is_first else (b, a)
            joined = LakeTable.of_parts(name, [there.pop(part) for part in members])
            table = here.pop(name).without_partitions()
            pairs[name] = (table, joined) if is_first else (joined, table)
    for name in sorted(only_a & a.keys()):
        pairs[name] = (a[name], LakeTable.missing(a[name]))
    for name in sorted(only_b & b.keys()):
        pairs[name] = (LakeTable.missing(b[name]), b[name])
    return [pairs[name] for name in sorted(pairs)]


def _result(difference: TableDifference) -> Result:
    for line in difference.lines():
        print(line, file=sys.stderr)
    unit = f"rows that differ, of {difference.num_rows:,}"
    return at_most(difference.name, difference.count, unit, 0)


def _where(sides: list[str]) -> str:
    return "other weights" if len(sides) == 2 else f"only in {sides[0]}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two homes."""
    parser.add_argument("home_a", type=Path, help="home folder A (SHEPHERD_HOME of its run)")
    parser.add_argument("home_b", type=Path, help="home folder B")


BENCHMARK = Benchmark("compare_homes", __doc__, run, add_options=add_options)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
