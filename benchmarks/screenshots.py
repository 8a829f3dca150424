"""Take the screenshots of the documentation anew, from a home that a run has filled.

    python -m benchmarks.screenshots --home data --profile demo [--out docs/images]

Writes the report of the home again, serves the Dagster UI over it, and opens both in Chromium. For
the pictures of a failed check, two problems in a copy of the home get a split that does not exist.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from benchmarks.browser import Page, open_page
from benchmarks.requirements import require_chromium
from benchmarks.ui import served
from cli.app import main as shepherd
from resources.storage.home import Home
from resources.storage.lake import Lake
from shepherd.schemas import PROBLEMS

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PAUSE = "new Promise((done) => setTimeout(done, 2500))"
DRAWN = "performance.getEntriesByName('drawn').length > 0"


@dataclass(frozen=True)
class Shot:
    """One picture: where it is taken, when the page is ready, and what is done first."""

    address: str
    """A fragment of the report, or a path of the UI."""
    width: int
    height: int
    ready: str
    """A condition in JavaScript."""
    prepare: str = "null"
    """JavaScript that runs once the page is ready."""
    settled: str = "true"
    """A condition in JavaScript that holds after ``prepare``."""
    scheme: Literal["light", "dark"] = "light"
    click: str = ""
    """The text of a button that is pressed at last."""


_UNFOLD = """(() => {
  document.querySelector(".controls").scrollIntoView({ behavior: "instant" });
  scrollBy({ top: -70, behavior: "instant" });
  document.querySelector(".step.culprit .fold").click();
})()"""
_UNFOLDED = "document.querySelectorAll('.rollouts li').length > 0"
_DETAIL = "document.querySelector('.detail').scrollIntoView({ behavior: 'instant' })"
REPORT = {
    "report.png": Shot("", 1440, 1100, DRAWN),
    "report-calibration.png": Shot("#calibration", 1440, 900, DRAWN, "null"),
    "report-solutions.png": Shot("#show=disputed", 1440, 1000, DRAWN, _UNFOLD, _UNFOLDED),
    "report-phone.png": Shot("#show=suspicious", 390, 844, DRAWN, _DETAIL, scheme="dark"),
}
UI = {
    "ui-assets.png": Shot(
        "/asset-groups", 1800, 1200, "document.body.innerText.includes('reward_models')"
    ),
    "ui-partitions.png": Shot(
        "/assets/rollouts?view=partitions",
        1440,
        900,
        r"/Materialized \(\d+\)/.test(document.body.innerText)",
    ),
    "ui-checks.png": Shot(
        "/assets/step_labels?view=checks",
        1440,
        900,
        "document.body.innerText.includes('Latest execution')",
    ),
}


FAULTY_UI = {
    "ui-failed-check.png": Shot(
        "/assets/stg_problems?view=lineage",
        1800,
        1200,
        "document.body.innerText.includes('dataset_counts')",
    ),
    "ui-failing-rows.png": Shot(
        "/assets/stg_problems?view=checks&checkDetail=split_is_known",
        1500,
        813,
        "document.body.innerText.includes('[Show Markdown]')",
        click="[Show Markdown]",
    ),
}
"""Pictures of the checks that find a planted fault."""


def main() -> int:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=Path("data"), help="home of a finished run")
    parser.add_argument("--profile", default="demo", help="profile of that run")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures; all if none is named")
    options = parser.parse_args()
    names = options.names or [*REPORT, *UI, *FAULTY_UI]
    home = Home(options.home.absolute())
    with open_page(require_chromium()) as tab:
        for shots, address in (
            (REPORT, report_of(home, options.profile)),
            (UI, ui_of(home, options.profile)),
            (FAULTY_UI, faulty_ui_of(home, options.profile)),
        ):
            wanted = {name: shot for name, shot in shots.items() if name in names}
            if wanted:
                with address as base:
                    for name, shot in wanted.items():
                        take(tab, base, shot, options.out / name)
                        print(options.out / name)
    return 0


@contextmanager
def report_of(home: Home, profile: str) -> Iterator[str]:
    """Write the report of a home again and yield its address."""
    if shepherd(["report", "--home", str(home.root), "--profile", profile]):
        raise SystemExit(2)
    yield home.report.as_uri()


@contextmanager
def ui_of(home: Home, profile: str) -> Iterator[str]:
    """Serve the Dagster UI over a home and yield its address."""
    environment = {
        **os.environ,
        "SHEPHERD_HOME": str(home.root),
        "SHEPHERD_PROFILE": profile,
        "DAGSTER_HOME": str(home.dagster),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with served(environment) as address:
        yield address


@contextmanager
def faulty_ui_of(home: Home, profile: str) -> Iterator[str]:
    """Serve the Dagster UI over a copy of a home whose warehouse finds a planted fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Home(Path(folder) / "home")
        shutil.copytree(home.root, copy.root)
        lake = Lake(copy.lake)
        dataset, shard = lake.partitions(PROBLEMS)[0]
        problems = lake.read(PROBLEMS, dataset, shard)
        split = pl.Series("split", ["dev", "dev", *problems["split"][2:]])
        lake.write(PROBLEMS, problems.with_columns(split), dataset, shard)
        options = ["--home", str(copy.root), "--profile", profile]
        if not shepherd(["run", *options, "--assets", "stg_problems"]):
            raise AssertionError("no check has found the fault")
        with ui_of(copy, profile) as address:
            yield address


def take(tab: Page, base: str, shot: Shot, out: Path) -> None:
    """Open an address, wait until its page is ready and settled, and write the picture."""
    tab.prefer(shot.scheme)
    tab.resize(shot.width, shot.height, mobile=shot.width < 500)
    tab.open("about:blank")
    tab.open(base + shot.address)
    tab.wait_for(shot.ready, seconds=180)
    tab.run(shot.prepare)
    tab.wait_for(shot.settled)
    # Charts are drawn, and the UI's graph is laid out, in frames after the page is ready.
    tab.run(PAUSE)
    if shot.click:
        tab.click(shot.click)
        tab.run(PAUSE)
    tab.picture(out)


if __name__ == "__main__":
    sys.exit(main())
