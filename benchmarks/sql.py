"""Do the marts keep up with the paper's scale? 440K solutions, 2.6M steps, 20M rollouts.

    python -m benchmarks.sql [--share 1.0] [--json]

Writes a lake from a seed into a temporary folder (``benchmarks/big_lake.py``), builds its
warehouse, then times every mart, all tests, the opening of the file and the report. ``--share``
is the share of the paper's problems and solutions.
"""

import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import duckdb

from benchmarks.big_lake import write_big_lake
from benchmarks.report import Result, at_most, main
from resources.report import build_report
from resources.storage.sql_files import sql_models
from resources.storage.warehouse import build_warehouse, run_tests

MAX_MART_S = 20.0
MAX_ALL_MARTS_S = 180.0
MAX_MEMORY_GIB = 6.0
MAX_OPEN_S = 1.0


def run(share: float) -> list[Result]:
    """Write, build, and time; each relation is listed on stderr."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # In a process of its own, whose memory does not count.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(write_big_lake, root / "lake", share).result()
        warehouse = root / "warehouse.duckdb"
        started = time.perf_counter()
        rows = build_warehouse(root / "lake", warehouse)
        build_s = time.perf_counter() - started
        peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        started = time.perf_counter()
        with duckdb.connect(warehouse, read_only=True) as connection:
            connection.sql("from label_quality").fetchall()
            open_s = time.perf_counter() - started
        marts = time_marts(warehouse, rows)
        started = time.perf_counter()
        failed = [result.name for result in run_tests(warehouse) if result.num_failures]
        tests_s = time.perf_counter() - started
        started = time.perf_counter()
        build_report(warehouse, root / "study", root / "report.html", profile="benchmark")
        report_s = time.perf_counter() - started
        print(f"tests that fail: {failed}", file=sys.stderr)
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
            at_most("tests that fail", len(failed), "tests", 0),
            Result("size of the warehouse", warehouse.stat().st_size / 2**30, "GiB"),
            Result("build of the report", report_s, "s"),
            Result("size of the report", (root / "report.html").stat().st_size / 2**20, "MiB"),
        ]


def time_marts(warehouse: Path, rows: dict[str, int]) -> dict[str, float]:
    """Return the seconds that each mart, and what they are built from, takes to make anew."""
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


if __name__ == "__main__":
    arguments = sys.argv[1:]
    chosen = float(arguments[arguments.index("--share") + 1]) if "--share" in arguments else 1.0
    main("sql", partial(run, chosen))
