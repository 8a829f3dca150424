"""Does the Dagster UI stay fast with 128 partitions a dataset, and does the code location load?

    python -m benchmarks.ui [--json]

Serves the tiny profile in 128 shards over a home in which each partition of each dataset was
materialized (events alone, no data), and opens the page of a dataset in Chromium. Times
``dagster definitions validate`` as well. Needs an idle machine.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import yaml

from benchmarks.browser import Page, find_chromium, open_page
from benchmarks.report import Result, at_most, main

ROOT = Path(__file__).resolve().parent.parent
NUM_SHARDS = 128
ASSET = "rollouts"
TIMES = 5
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
SHOWN = f"document.body.innerText.includes('Materialized ({NUM_SHARDS})')"


def run() -> list[Result]:
    """Prepare the home, time the loading of the code, then the page; values are medians."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium on this machine: install one")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = prepare(Path(folder))
        validate_s = [timed(["definitions", "validate"], environment) for _ in range(TIMES)]
        with served(environment) as address, open_page(chromium) as tab:
            page = f"{address}/assets/{ASSET}?view=partitions"
            # The first visit loads the application itself, which the browser then keeps.
            first_s, *pages_s = (opened(tab, page) for _ in range(TIMES + 1))
    return [
        Result("partitions of the dataset", NUM_SHARDS, "partitions"),
        at_most("dagster definitions validate", median(validate_s), "s", MAX_VALIDATE_S),
        Result("page of the dataset, first visit", first_s, "s"),
        at_most("page of the dataset", median(pages_s), "s", MAX_PAGE_S),
    ]


def prepare(root: Path) -> Mapping[str, str]:
    """Write a profile and a home in which all is materialized; return the environment of both."""
    profile = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    path = root / "wide.yaml"
    path.write_text(yaml.safe_dump({**profile, "shards": NUM_SHARDS}))
    environment = {
        **os.environ,
        "SHEPHERD_HOME": str(root),
        "SHEPHERD_PROFILE": str(path),
        "DAGSTER_HOME": str(root / "dagster"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for command in (["-m", "cli.run", "--prepare"], ["-c", REPORT_EVENTS]):
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)
    return environment


def timed(command: list[str], environment: Mapping[str, str]) -> float:
    """Return the seconds that a command of Dagster takes."""
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
    """Return once the server answers.

    Raises:
        OSError: it does not within three minutes.
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


def opened(tab: Page, page: str) -> float:
    """Return the seconds from the start of the navigation until the partitions are counted."""
    tab.open("about:blank")
    tab.open(page)
    tab.wait_for(SHOWN)
    return float(tab.run("performance.now()")) / 1000


if __name__ == "__main__":
    main("ui", run)
