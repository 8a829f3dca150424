"""How long do the marts take at the paper's scale: 440K solutions, 2.6M steps, 20M rollouts?

    python -m benchmarks.sql [--json] [--share 1.0]

Writes a lake from a seed (``benchmarks/big_lake.py``), builds its warehouse, then times every
mart, all tests, the first query and the report. stderr lists each relation.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import duckdb

from benchmarks.big_lake import write_big_lake
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from resources.report import Run, build_report
from resources.storage.sql_files import sql_models
from resources.storage.store import FolderStore
from resources.storage.warehouse import build_warehouse, run_tests

MAX_MART_S = 20.0
MAX_ALL_MARTS_S = 180.0
MAX_MEMORY_GIB = 6.0
MAX_OPEN_S = 1.0

T = TypeVar("T")


def run(options: argparse.Namespace) -> list[Result]:
    """Write the lake, build the warehouse and time what reads it."""
    lake, warehouse = options.folder / "lake", options.folder / "warehouse.duckdb"
    report = options.folder / "report.html"
    # The memory of writing the lake does not count: another process writes it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(write_big_lake, lake, options.share).result()
    build_s, rows = timed(lambda: build_warehouse(lake, warehouse))
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    open_s, _ = timed(lambda: first_query(warehouse))
    marts = time_marts(warehouse, rows)
    tests_s, tests = timed(lambda: run_tests(warehouse))
    failures = [test.name for test in tests if test.num_failures]
    report_s, _ = timed(
        lambda: build_report(warehouse, FolderStore(options.folder), report, Run("benchmark"))
    )
    print(f"tests that fail: {failures}", file=sys.stderr)
    slowest = max(marts, key=lambda name: marts[name])
    return [
        Result("solutions", rows["lake.solutions"], "rows"),
        Result("steps", rows["lake.steps"], "rows"),
        Result("rollouts", rows["lake.rollouts"], "rows"),
        Result("build of the warehouse", build_s, "s"),
        at_most(f"slowest mart: {slowest}", marts[slowest], "s", MAX_MART_S),
        at_most("all marts", sum(marts.values()), "s", MAX_ALL_MARTS_S),
        at_most("peak memory of the build", peak_gib, "GiB", MAX_MEMORY_GIB),
        at_most("open and first query", open_s, "s", MAX_OPEN_S),
        Result("all tests", tests_s, "s"),
        at_most("tests that fail", len(failures), "tests", 0),
        Result("size of the warehouse", warehouse.stat().st_size / 2**30, "GiB"),
        Result("build of the report", report_s, "s"),
        Result("size of the report", report.stat().st_size / 2**20, "MiB"),
    ]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that ``work`` takes, and what it returns."""
    started = time.perf_counter()
    value = work()
    return time.perf_counter() - started, value


def first_query(warehouse: Path) -> None:
    """Open the warehouse and read one mart."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        connection.sql("from label_quality").fetchall()


def time_marts(warehouse: Path, rows: dict[str, int]) -> dict[str, float]:
    """Build each mart and intermediate relation again; return the seconds of each."""
    seconds = {}
    with duckdb.connect(warehouse, config={"memory_limit": "4GB"}) as connection:
        for model in sql_models():
            if model.layer == "staging":
                continue
            started = time.perf_counter()
            connection.execute(f"create or replace table timed as {model.sql}")
            seconds[model.name] = time.perf_counter() - started
            line = f"{seconds[model.name]:8.2f} s {rows[model.name]:>12,} rows  {model.name}"
            print(line, file=sys.stderr, flush=True)
    return seconds


BENCHMARK = Benchmark(
    "sql",
    __doc__,
    run,
    sizes=[Size("share", 1.0, 0.0005, "share of the paper's problems and solutions, 0 to 1")],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
