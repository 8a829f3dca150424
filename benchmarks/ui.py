"""How fast do the Dagster UI and the code location load with 128 partitions a dataset?

    python -m benchmarks.ui [--json]

Serves the profile ``tiny`` in 128 shards. The home has a materialization of each partition of
each dataset (events only, no data). Opens the page of a dataset in Chromium, and times ``dagster
definitions validate``. Values are medians. Needs an idle machine.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import yaml

from benchmarks.browser import Page, open_page
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from benchmarks.requirements import require_chromium
from cli.dagster_home import prepare_dagster_home

ROOT = Path(__file__).resolve().parent.parent
ASSET = "rollouts"
MAX_VALIDATE_S = 3.0
MAX_PAGE_S = 1.0
START_S = 180.0
"""Seconds that a server may take to answer on a busy machine."""

REPORT_EVENTS = """
import dagster as dg
from assets.definitions import defs

with dg.DagsterInstance.get() as instance:
    for node in defs().resolve_asset_graph().asset_nodes:
        for key in node.partitions_def.get_partition_keys() if node.partitions_def else [None]:
            metadata = {"dagster/row_count": 1000, "share_correct": 0.5}
            instance.report_runless_asset_event(
                dg.AssetMaterialization(node.key, partition=key, metadata=metadata)
            )
"""
SHOWN = "document.body.innerText.includes('Materialized ({num_shards})')"


def run(options: argparse.Namespace) -> list[Result]:
    """Prepare the home, time the loading of the code, then the page.

    Raises:
        ValueError: no browser is installed.
    """
    chromium = require_chromium()
    environment = prepare(options.folder, options.shards)
    validate = ["definitions", "validate"]
    validate_s = [timed(validate, environment) for _ in range(options.times)]
    with served(environment) as address, open_page(chromium) as tab:
        page = f"{address}/assets/{ASSET}?view=partitions"
        # The first visit loads the application, which the browser then caches.
        first_s, *pages_s = (
            page_seconds(tab, page, options.shards) for _ in range(options.times + 1)
        )
    return [
        Result("partitions of the dataset", options.shards, "partitions"),
        at_most("dagster definitions validate", median(validate_s), "s", MAX_VALIDATE_S),
        Result("page of the dataset, first visit", first_s, "s"),
        at_most("page of the dataset", median(pages_s), "s", MAX_PAGE_S),
    ]


def prepare(root: Path, num_shards: int) -> Mapping[str, str]:
    """Write a profile and a home with all materializations; return its environment variables."""
    profile = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    path = root / "wide.yaml"
    path.write_text(yaml.safe_dump({**profile, "shards": num_shards}))
    environment = {
        **os.environ,
        "SHEPHERD_HOME": str(root),
        "SHEPHERD_PROFILE": str(path),
        "DAGSTER_HOME": str(root / "dagster"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    prepare_dagster_home(root / "dagster")
    subprocess.run([sys.executable, "-c", REPORT_EVENTS], cwd=ROOT, env=environment, check=True)
    return environment


def timed(command: list[str], environment: Mapping[str, str]) -> float:
    """Run a command of Dagster; return its seconds."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dagster", *command, "-w", "workspace.yaml"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


@contextmanager
def served(environment: Mapping[str, str]) -> Iterator[str]:
    """Serve the UI on a free port and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-p", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(f"{address}/server_info")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def wait_until_it_answers(url: str) -> None:
    """Wait until the server answers.

    Raises:
        OSError: the server does not answer within ``START_S`` seconds.
    """
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def page_seconds(tab: Page, page: str, num_shards: int) -> float:
    """Return the seconds from the start of the navigation until the partitions are counted."""
    tab.open("about:blank")
    tab.open(page)
    tab.wait_for(SHOWN.format(num_shards=num_shards))
    return float(tab.run("performance.now()")) / 1000


BENCHMARK = Benchmark(
    "ui",
    __doc__,
    run,
    sizes=[
        Size("shards", 128, 2, "partitions of each dataset"),
        Size("times", 5, 1, "times that each thing is measured"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
