"""The Dagster UI of this pipeline in a real browser: the graph, a backfill, a check that fails."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import polars as pl
import pytest

from benchmarks.browser import Page, find_chromium, open_page
from benchmarks.ui import START_S, wait_until_it_answers
from cli.dagster_home import prepare_dagster_home
from cli.pipeline import run_pipeline
from resources.storage.home import Home
from resources.storage.lake import Lake
from tests.profiles import TINY
from tests.small_lake import small_lake, write_lake

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
ONLY_MISSING = "Backfill only failed and missing partitions within selection"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a warehouse, one partition of the steps, and a run that failed to make the other.

    Its lake has a problem of an unknown split.
    """
    home = Home(tmp_path_factory.mktemp("ui"))
    frames = small_lake(num_train=4, num_test=2)
    split = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("dev")).otherwise("split")
    frames["problems"] = frames["problems"].with_columns(split=split)
    write_lake(frames, home.lake)
    prepare_dagster_home(home.dagster)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output:
        patch.setenv("DAGSTER_HOME", str(home.dagster))
        # The check of the split fails.
        assert run_pipeline(TINY, home, ["stg_problems"]) == 1, output.getvalue()
        assert run_pipeline(TINY, home, ["steps"], ["word_problems|00"]) == 0, output.getvalue()
        solutions = Lake(home.lake).path("solutions", "word_problems", "01")
        aside = solutions.rename(solutions.with_suffix(".aside"))
        assert run_pipeline(TINY, home, ["steps"], ["word_problems|01"]) == 2
        aside.rename(solutions)
    return home


@pytest.fixture(scope="module")
def address(home: Home) -> Iterator[str]:
    """The UI of the home, served as a user does."""
    environment = {
        **os.environ,
        "SHEPHERD_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster),
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "cli", "ui", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/server_info")
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


def backfill(
    tab: Page,
    page: str,
    *,
    launch: str,
    makes_others_too: bool = False,
    upstream_is_missing: bool = False,
) -> None:
    """Make what failed or is missing by clicking on an asset's page; ``launch`` is the button."""
    tab.open(page)
    tab.click("Materialize…")
    if makes_others_too or upstream_is_missing:
        tab.click("Confirm")
    tab.click("All")
    tab.click("All", nth=1)
    tab.click(ONLY_MISSING)
    tab.click(launch)
    # Until the dialog has closed, what was asked for is lost on another page.
    tab.wait_for(f"!document.body.innerText.includes('{ONLY_MISSING}')", START_S)


def test_the_graph_shows_the_stages_of_the_paper(tab: Page, address: str) -> None:
    tab.open(f"{address}/asset-groups")
    for group in ("problems", "models", "annotation", "reward_models", "verification", "marts"):
        has(tab, group)
    tab.open(f"{address}/locations/math_shepherd/asset-groups/annotation/lineage")
    for asset in ("solutions", "steps", "rollouts", "step_labels", "labeled_solutions"):
        has(tab, asset)


def test_missing_partitions_are_backfilled_by_clicking(tab: Page, address: str) -> None:
    page = f"{address}/assets/problems?view=partitions"
    tab.open(page)
    has(tab, "Missing (2)")
    # One function makes the problems and the rejected rows.
    backfill(tab, page, launch="Launch backfill", makes_others_too=True)
    tab.open(page)
    has(tab, "Materialized (2)")
    tab.open(f"{page}&partition=word_problems%7C01")
    for words in ("word_problems", "01", "dagster/row_count", "train_problems", "preview"):
        has(tab, words)


def test_only_the_partition_that_failed_is_backfilled(tab: Page, address: str, home: Home) -> None:
    page = f"{address}/assets/steps?view=partitions"
    tab.open(page)
    for words in ("Materialized (1)", "Failed (1)"):
        has(tab, words)
    sound = Lake(home.lake).path("steps", "word_problems", "00")
    before = sound.stat().st_mtime_ns
    # One partition is one run; the lake's solutions were not made by any.
    backfill(tab, page, launch="Launch 1 run", upstream_is_missing=True)
    tab.open(page)
    has(tab, "Materialized (2)")
    assert sound.stat().st_mtime_ns == before


def test_checks_of_partitions_are_executed_by_clicking(tab: Page, address: str) -> None:
    tab.open(f"{address}/assets/steps?view=checks")
    tab.click("Execute all")
    tab.open(f"{address}/runs?q=")
    tab.wait_for(
        """(() => {
          const rows = [...document.querySelectorAll("tr, [class*=row]")];
          return rows.some((row) => row.innerText.includes("steps_rebuild_their_solutions")
            && row.innerText.includes("Success"));
        })()""",
        START_S,
    )


def test_runs_of_the_command_are_on_the_timeline(tab: Page, address: str) -> None:
    tab.open(f"{address}/overview/activity/timeline")
    has(tab, "Jobless asset materializations")


def test_a_check_that_fails_shows_its_rows(tab: Page, address: str) -> None:
    tab.open(f"{address}/assets/stg_problems?view=checks&checkDetail=split_is_known")
    for words in ("split_is_known", "failing_rows", "first_rows"):
        has(tab, words)
    tab.click("[Show Markdown]")
    for words in ("gold_solution", "dev"):
        has(tab, words)


def test_a_mart_shows_what_its_columns_mean(tab: Page, address: str) -> None:
    tab.open(f"{address}/assets/label_quality?view=overview")
    has(tab, "share of the truly wrong steps that the annotator labels wrong")
