"""Does the report stay fluent with thousands of solutions, in a real browser?

    python -m benchmarks.report_page [--json]

Builds the report of a lake of two datasets from a seed (``benchmarks/big_lake.py``), rollouts with
texts of the length that a 7B model writes, opens it in Chromium from disk, and works its controls.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.big_lake import write_big_lake
from benchmarks.browser import Page, find_chromium, open_page
from benchmarks.report import Result, at_least, at_most, main
from resources.report import build_report
from resources.storage.warehouse import build_warehouse

SHARE = 0.02
"""Of the paper's problems and solutions: as many as the page holds of two datasets."""
ROLLOUT_CHARACTERS = 200
MIN_SOLUTIONS = 5_000
MAX_LOAD_MS = 2_000.0
MAX_ANSWER_MS = 100.0
"""What feels immediate."""
TIMES = 5

NUM_SOLUTIONS = """
load().then(({ problems }) => problems.flatMap(({ solutions }) => solutions).length)
"""
# From the event to the frame that shows its effect.
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
    "filter": ("Show", "Annotators differ"),
    "colour": ("Colour steps by", "hard label"),
}


def run() -> list[Result]:
    """Build the page, open it some times, and use it; values are medians."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium on this machine: install one")
    with tempfile.TemporaryDirectory() as folder, open_page(chromium) as tab:
        page = write_page(Path(folder))
        loads = [load_ms(tab, page) for _ in range(TIMES)]
        answers = {
            name: median(ms for _ in range(TIMES) for ms in answers_ms(tab, control, value))
            for name, (control, value) in CONTROLS.items()
        }
        return [
            at_least("solutions on the page", tab.run(NUM_SOLUTIONS), "solutions", MIN_SOLUTIONS),
            Result("size of the page", page.stat().st_size / 2**20, "MiB"),
            at_most("open and draw", median(loads), "ms", MAX_LOAD_MS),
            *(
                at_most(f"answer to {name}", ms, "ms", MAX_ANSWER_MS)
                for name, ms in answers.items()
            ),
        ]


def write_page(root: Path) -> Path:
    """Write a lake, its warehouse and the report; return the report's path."""
    write_big_lake(root / "lake", SHARE)
    for path in (root / "lake" / "rollouts").rglob("*.parquet"):
        rollouts = pl.read_parquet(path)
        # Hexadecimal digits do not compress as text does: no load is hidden.
        words = pl.col("prefix_id") + " plus " + pl.col("rollout_index").cast(pl.String) + ", "
        text = pl.concat_str([words] * 8).str.slice(0, ROLLOUT_CHARACTERS)
        rollouts.with_columns(text=text).write_parquet(path)
    build_warehouse(root / "lake", root / "warehouse.duckdb")
    page = root / "report.html"
    build_report(root / "warehouse.duckdb", root / "study", page, profile="benchmark")
    return page


def load_ms(tab: Page, page: Path) -> float:
    """Return the milliseconds from the start of the navigation until all is drawn."""
    tab.open("about:blank")
    tab.open(page.as_uri())
    drawn = "performance.getEntriesByName('drawn')[0]?.startTime ?? null"
    return float(tab.wait_for(drawn))


def answers_ms(tab: Page, control: str, value: str) -> list[float]:
    """Change a control and change it back; return the milliseconds until each was shown."""
    first = tab.run(f"document.querySelector('[aria-label=\"{control}\"]').value")
    return [
        float(tab.run(ANSWER_MS.format(control=control, value=each))) for each in (value, first)
    ]


if __name__ == "__main__":
    main("report_page", run)
