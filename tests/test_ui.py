"""The Dagster UI of this pipeline in a real browser: the graph, a backfill, a check that fails."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from benchmarks.browser import Page, find_chromium, open_page
from tests.small_lake import small_lake, write_lake

ROOT = Path(__file__).parent.parent
START_S = 180.0
"""Seconds that the servers may take to answer on a busy machine."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI over a lake with a problem of an unknown split, whose warehouse was built."""
    home = tmp_path_factory.mktemp("ui")
    frames = small_lake(num_train=4, num_test=2)
    split = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("dev")).otherwise("split")
    frames["problems"] = frames["problems"].with_columns(split=split)
    write_lake(frames, home / "lake")
    environment = {
        **os.environ,
        "SHEPHERD_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    dagster = [sys.executable, "-m", "dagster"]
    warehouse = ["-m", "assets.definitions", "--select", "group:warehouse"]
    for command in (
        [sys.executable, "-m", "assets.run", "--prepare"],
        [*dagster, "asset", "materialize", *warehouse],
    ):
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*dagster, "dev", "--workspace", "workspace.yaml", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/server_info")
        yield f"http://127.0.0.1:{port}"
    finally:
        # Its servers, daemon and code location end with it.
        server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            # On a busy machine they take longer than there is time for.
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with open_page(chromium) as opened:
        yield opened


def has(tab: Page, words: str) -> None:
    """Wait until the page says something."""
    tab.wait_for(f"document.body.innerText.includes({words!r})", START_S)


def test_the_graph_shows_the_stages_of_the_paper(tab: Page, address: str) -> None:
    tab.open(f"{address}/asset-groups")
    for group in ("problems", "models", "annotation", "reward_models", "verification", "warehouse"):
        has(tab, group)


def test_missing_partitions_are_backfilled_by_clicking(tab: Page, address: str) -> None:
    tab.open(f"{address}/assets/problems?view=partitions")
    has(tab, "Missing (2)")
    tab.click("Materialize…")
    tab.click("All")
    tab.click("All", nth=1)
    tab.click("Backfill only failed and missing partitions within selection")
    tab.click("Launch backfill")
    tab.open(f"{address}/assets/problems?view=partitions")
    has(tab, "Materialized (2)")


def test_a_check_that_fails_shows_its_rows(tab: Page, address: str) -> None:
    tab.open(f"{address}/assets/stg_problems?view=checks&checkDetail=split_is_known")
    for words in ("split_is_known", "failing_rows", "first_rows"):
        has(tab, words)


def test_a_mart_shows_what_its_columns_mean(tab: Page, address: str) -> None:
    tab.open(f"{address}/assets/label_quality?view=overview")
    has(tab, "of the truly wrong steps, the share that is labelled wrong")
