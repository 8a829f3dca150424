"""How fast does the report open and react with thousands of solutions, in a real browser?

    python -m benchmarks.report_page [--json]                          # 5,000, in the page itself
    python -m benchmarks.report_page --share 0.3 --times 3 [--json]   # 100,000, with data files

Writes a lake of two datasets from a seed (``benchmarks/big_lake.py``), with rollouts as long as
those of a 7B model, and builds its report. Opens the report in Chromium and uses its controls.
Values are medians.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.big_lake import write_big_lake
from benchmarks.browser import Page, open_page
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import require_chromium
from resources.report import DATA_FOLDER, Run, build_report
from resources.storage.store import FolderStore
from resources.storage.warehouse import build_warehouse

ROLLOUT_CHARACTERS = 200
MIN_SOLUTIONS = 5_000
MAX_LOAD_MS, MAX_LARGE_LOAD_MS = 2_000.0, 3_000.0
"""Without and with data files beside the page."""
MAX_PAGE_MIB = 60.0
MAX_ANSWER_MS = 100.0
"""People perceive 100 ms as immediate."""

NUM_SOLUTIONS = """
load().then(({ problems }) => problems.flatMap(({ solutions }) => solutions).length)
"""
# Milliseconds from the event to the frame that shows its effect.
ANSWER_MS = """
new Promise((done) => {{
  const control = document.querySelector('[aria-label="{control}"]');
  const started = performance.now();
  control.value = "{value}";
  control.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
}})
"""
CONTROLS = {
    "search": ("Search", "in"),
    "filter": ("Show", "disputed"),
    "order": ("Order", "unsure"),
    "colour": ("Colour steps by", "hard"),
}


def run(options: argparse.Namespace) -> list[Result]:
    """Build the page, open it several times, and use its controls.

    Raises:
        ValueError: no browser is installed.
    """
    chromium = require_chromium()
    page = write_page(options.folder, options.share)
    with open_page(chromium) as tab:
        loads = [load_ms(tab, page) for _ in range(options.times)]
        answers = {
            name: median(ms for _ in range(options.times) for ms in answers_ms(tab, control, value))
            for name, (control, value) in CONTROLS.items()
        }
        num_solutions = tab.run(NUM_SOLUTIONS)
    files = [path.stat().st_size for path in page.with_name(DATA_FOLDER).glob("*.js")]
    max_load_ms = MAX_LARGE_LOAD_MS if files else MAX_LOAD_MS
    return [
        at_least("solutions of the report", num_solutions, "solutions", MIN_SOLUTIONS),
        at_most("size of the page", page.stat().st_size / 2**20, "MiB", MAX_PAGE_MIB),
        Result("size of the data files beside it", sum(files) / 2**20, "MiB"),
        at_most("open and draw", median(loads), "ms", max_load_ms),
        *(at_most(f"answer to {name}", ms, "ms", MAX_ANSWER_MS) for name, ms in answers.items()),
    ]


def write_page(root: Path, share: float) -> Path:
    """Write a lake with ``share`` of the paper's rows, its warehouse and the report."""
    write_big_lake(root / "lake", share)
    for path in (root / "lake" / "rollouts").rglob("*.parquet"):
        rollouts = pl.read_parquet(path)
        # Hexadecimal digits compress worse than text, so the page is not smaller than a real one.
        words = pl.col("prefix_id") + " plus " + pl.col("rollout_index").cast(pl.String) + ", "
        text = pl.concat_str([words] * 8).str.slice(0, ROLLOUT_CHARACTERS)
        rollouts.with_columns(text=text).write_parquet(path)
    build_warehouse(root / "lake", root / "warehouse.duckdb")
    page = root / "report.html"
    build_report(root / "warehouse.duckdb", FolderStore(root), page, Run("benchmark"))
    return page


def load_ms(tab: Page, page: Path) -> float:
    """Return the milliseconds from the start of the navigation until the page is drawn."""
    tab.open("about:blank")
    tab.open(page.as_uri())
    drawn = "performance.getEntriesByName('drawn')[0]?.startTime ?? null"
    return float(tab.wait_for(drawn))


def answers_ms(tab: Page, control: str, value: str) -> list[float]:
    """Change a control and change it back; return the milliseconds until each is visible."""
    first = tab.run(f"document.querySelector('[aria-label=\"{control}\"]').value")
    return [
        float(tab.run(ANSWER_MS.format(control=control, value=each))) for each in (value, first)
    ]


BENCHMARK = Benchmark(
    "report_page",
    __doc__,
    run,
    sizes=[
        Size("share", 0.02, 0.0002, "share of the paper's solutions; the page holds 0.02"),
        Size("times", 5, 1, "times that each thing is measured"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
