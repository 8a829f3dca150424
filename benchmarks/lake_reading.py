"""What does it cost to check the digests of a lake's files when they are read?

    python -m benchmarks.lake_reading [--json] [--solutions 20000]

Writes the tables of random solutions as one partition each and reads all of them in turns: through
the lake, which checks each file's digest as in a new process, and without the check. Both compare
schemas, nulls and keys. CPU seconds of all threads are compared, as medians over the turns.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from benchmarks.big_lake import PAPER, DatasetSize, draw
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from resources.storage.lake import Lake
from shepherd.schemas import TABLES, Table, enforce

DATASET, SHARD = "gsm8k", "00"
MAX_PERCENT = 3.0
"""The target: more CPU seconds than without the check."""


def run(options: argparse.Namespace) -> list[Result]:
    """Write a partition of each table, and read all in turns."""
    lake = Lake(options.folder)
    share = options.solutions / PAPER[DATASET].num_solutions
    counts = (max(1, round(share * count)) for count in vars(PAPER[DATASET]).values())
    paths: list[tuple[Table, Path]] = []
    for name, frame in draw(DATASET, DatasetSize(*counts), np.random.default_rng(0)):
        paths.append((TABLES[name], lake.write(TABLES[name], frame, DATASET, SHARD)))
    checked, unchecked = [], []
    for _ in range(options.turns):
        unchecked.append(_seconds_without_check(paths))
        for _, path in paths:
            os.utime(path)
        checked.append(_seconds_with_check(lake, paths))
    before, after = median(unchecked), median(checked)
    num_bytes = sum(path.stat().st_size for _, path in paths)
    percent = 100 * (median(b / a for a, b in zip(unchecked, checked, strict=True)) - 1)
    return [
        Result("files", len(paths), "tables"),
        Result("size", round(num_bytes / 2**20, 1), "MiB"),
        Result("reading", after, "CPU s", before),
        at_most("checking the digests", round(percent, 2), "% of CPU s", MAX_PERCENT),
    ]


def _seconds_with_check(lake: Lake, paths: list[tuple[Table, Path]]) -> float:
    start = time.process_time()
    for table, path in paths:
        lake.read_file(table, path)
    return time.process_time() - start


def _seconds_without_check(paths: list[tuple[Table, Path]]) -> float:
    start = time.process_time()
    for table, path in paths:
        enforce(table, pl.read_parquet(path, glob=False, hive_partitioning=False))
    return time.process_time() - start


BENCHMARK = Benchmark(
    "lake_reading",
    __doc__,
    run,
    sizes=[
        Size("solutions", 20_000, 200, "solutions in the partition"),
        Size("turns", 15, 2, "turns; ratios are medians over them"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
