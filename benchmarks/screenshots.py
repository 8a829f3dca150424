"""Take the screenshots of the documentation anew, from a home that a run has filled.

    python -m benchmarks.screenshots --home data --profile demo [--out docs/images]

Writes the report of the home again, serves the Dagster UI over it, and opens both in Chromium.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.browser import Page, open_page
from benchmarks.requirements import require_chromium
from benchmarks.ui import served
from cli.app import main as shepherd
from resources.storage.home import Home

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
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
    names = options.names or [*REPORT, *UI]
    home = Home(options.home.absolute())
    with open_page(require_chromium()) as tab:
        for shots, address in (
            (REPORT, report_of(home, options.profile)),
            (UI, ui_of(home, options.profile)),
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
    tab.run("new Promise((done) => setTimeout(done, 2500))")
    tab.picture(out)


if __name__ == "__main__":
    sys.exit(main())
