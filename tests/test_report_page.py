"""The sections of the report in a browser: figures, tables, and what is left out."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from benchmarks.browser import Page, find_chromium, open_page
from shepherd.labels import label_accuracy
from tests.report_pages import FACTS, FRAMES, HOSTILE, build, dom_of, page_of, show

SECTIONS = ("verification", "labels", "calibration", "cost", "training", "grading", "solutions")
CURVES = [{"model": "completer", "metric": "training loss", "points": [[1, 2.0], [2, 1.5]]}]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the small lake, beside its warehouse."""
    folder = tmp_path_factory.mktemp("report")
    build(FRAMES, folder)
    return page_of(folder / "warehouse.duckdb", folder, curves=CURVES)


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    """A tab of one browser for all tests of this module."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with open_page(chromium) as opened:
        yield opened


STUDY = {
    "benchmark": "paper_study",
    "command": "python -m benchmarks.paper_study",
    "results": [
        {
            "name": f"best of 64 <b>PRM</b>{HOSTILE}",
            "value": 0.9512,
            "unit": "share",
            "baseline": 0.85,
            "target": None,
            "met": None,
        }
    ],
}


def links(tab: Page) -> list[str]:
    """Return the sections that the navigation leads to."""
    return list(tab.run("[...document.querySelectorAll('nav a')].map((link) => link.hash)"))


def open_numbers(tab: Page) -> None:
    """Unfold the numbers of all figures."""
    tab.run("document.querySelectorAll('.numbers').forEach((numbers) => (numbers.open = true))")
    tab.wait_for(
        "document.querySelectorAll('.numbers table').length === "
        "document.querySelectorAll('.numbers').length"
    )


def test_results_of_a_study_are_shown_where_there_are_any(
    page: Path, tmp_path: Path, tab: Page
) -> None:
    show(tab, page)
    assert tab.run("document.getElementById('study')") is None
    assert "#study" not in links(tab)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "paper.json").write_text(json.dumps(STUDY))
    show(tab, page_of(page.with_name("warehouse.duckdb"), tmp_path), "#study")
    assert "#study" in links(tab)
    cells = tab.run("[...document.querySelectorAll('#study td')].map((cell) => cell.textContent)")
    assert cells == [STUDY["results"][0]["name"], "0.9512\u00a0share", "0.85\u00a0share"]
    assert tab.run("document.querySelectorAll('#study b, #study img').length") == 0


def test_the_page_draws_itself_under_its_own_policy(page: Path, tab: Page) -> None:
    dom = dom_of(show(tab, page))
    accuracy = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    assert accuracy.agreement is not None
    agreement = f"{100 * accuracy.agreement:.1f}"
    assert f"Hard labels from rollouts agree with the oracle on {agreement}" in dom
    for name in ("PRM", "SC+PRM", "ORM", "SC+ORM", "SC", "pass@N"):
        assert f">{name}</text>" in dom
    assert dom.count('role="list"') == 1
    assert "The page holds all 18 problems" in dom
    assert dom.count('class="card"') > 0
    assert links(tab) == [f"#{section}" for section in SECTIONS]
    facts = tab.run("[...document.querySelectorAll('.facts dd')].map((fact) => fact.textContent)")
    assert facts == [value for _, value in FACTS]


def test_the_first_chart_shows_gains_over_votes_and_one_band_at_a_time(
    page: Path, tab: Page
) -> None:
    show(tab, page)
    figure = "document.querySelector('#verification figure')"
    row = FRAMES["evaluations"].filter(method="PRM", num_candidates=8).row(0, named=True)
    open_numbers(tab)
    shown = tab.run(f"{figure}.querySelector('.numbers tbody tr:last-child').textContent")
    gain = f"{100 * abs(row['gain']):.1f} points"
    assert gain in shown
    assert f"{100 * abs(row['gain_high']):.1f} points)" in shown
    bands = f"[...{figure}.querySelectorAll('.band.shown')].map((band) => band.dataset.series)"
    assert tab.run(bands) == []
    tab.run(
        f"""(() => {{
          const chart = {figure}.querySelector('svg.chart');
          const box = chart.getBoundingClientRect();
          const at = {{ clientX: box.right - 120, clientY: box.top + 20, bubbles: true }};
          chart.dispatchEvent(new PointerEvent("pointermove", at));
        }})()"""
    )
    assert len(tab.run(bands)) == 1
    assert "points" in tab.run(f"{figure}.querySelector('.tooltip').textContent")


def test_a_lake_without_truth_and_verification_says_what_its_annotators_label(
    tmp_path: Path, tab: Page
) -> None:
    names = ("problems", "solutions", "steps", "step_labels")
    lead = show(tab, build({name: FRAMES[name] for name in names}, tmp_path)).run(
        "document.getElementById('lead').textContent"
    )
    steps = FRAMES["steps"].filter(~pl.col("is_last"))
    labels = FRAMES["step_labels"].filter(annotator="monte_carlo").join(steps, on="step_id")
    share = 100 * labels["hard"].mean()
    assert f"{share:.1f}\u00a0% of {labels.height} steps right" in str(lead)
    assert "No step has a label" not in str(lead)
    assert links(tab) == ["#labels", "#calibration", "#grading", "#solutions"]


def test_solutions_without_labels_show_the_accuracy_of_their_generators_first(
    tmp_path: Path, tab: Page
) -> None:
    solutions = FRAMES["solutions"]
    weak = solutions.with_columns(
        generator=pl.lit("weak"),
        solution_id="weak" + pl.col("solution_id"),
        is_correct=pl.lit(False),
        grade_reason=pl.lit("different"),
        finish_reason=pl.lit("length"),
    )
    frames = {"problems": FRAMES["problems"], "solutions": pl.concat([solutions, weak])}
    show(tab, build(frames, tmp_path))
    assert links(tab)[0] == "#generators"
    rows = tab.run(
        "[...document.querySelectorAll('#generators tbody tr')].map((row) => row.innerText)"
    )
    right = solutions.filter("is_correct")["num_samples"].sum() / solutions["num_samples"].sum()
    assert len(rows) == 2
    assert f"{100 * right:.1f}\u00a0%" in rows[0]
    assert rows[1].startswith("weak")
    assert "0.0\u00a0%" in rows[1]
    assert "100.0\u00a0%" in rows[1]


def test_an_empty_lake_gives_a_page_that_says_so(tmp_path: Path, tab: Page) -> None:
    show(tab, build({}, tmp_path))
    assert links(tab) == []
    assert "Nothing was sampled yet" in tab.text()
    assert tab.run("document.querySelectorAll('section').length") == 0


def test_sections_can_be_linked_to(page: Path, tab: Page) -> None:
    for section in SECTIONS:
        show(tab, page, f"#{section}")
        tab.wait_for(
            f"Math.abs(document.getElementById('{section}').getBoundingClientRect().top) < 60"
        )


def test_every_chart_has_its_numbers_in_a_table(page: Path, tab: Page) -> None:
    show(tab, page)
    open_numbers(tab)
    tables = tab.run(
        "[...document.querySelectorAll('figure')].map((figure) => "
        "[...figure.querySelectorAll('.numbers tbody tr')].map((row) => row.textContent))"
    )
    assert len(tables) == tab.run("document.querySelectorAll('svg.chart').length") == 17
    assert all(tables)
    single = FRAMES["evaluations"].filter(method="SC", num_candidates=8)["accuracy"].item()
    assert f"{100 * single:.1f}\u00a0%" in tables[1][-1]


def test_scores_of_held_out_problems_are_compared_with_labels_and_truth(
    page: Path, tab: Page
) -> None:
    show(tab, page, "#calibration")
    titles = tab.run("[...document.querySelectorAll('#calibration h3')].map((h) => h.textContent)")
    for title in (
        "How often is a step right, by its PRM score?",
        "Do PRM and Monte Carlo agree, by position of the step?",
        "Do PRM and Monte Carlo agree, by steps of the solution?",
        "Do PRM and Monte Carlo agree, by level of the problem?",
    ):
        assert title in titles
    with duckdb.connect(page.with_name("warehouse.duckdb"), read_only=True) as connection:
        (first,) = connection.execute(
            "select agreement from score_agreement where part = 'position' and part_value = '1'"
        ).fetchall()
    open_numbers(tab)
    numbers = tab.run(
        f"document.querySelectorAll('#calibration figure')[{titles.index(title) - 2}]"
        ".querySelector('.numbers tbody tr').textContent"
    )
    assert f"{100 * first[0]:.1f}\u00a0%" in numbers


def test_columns_that_say_nothing_are_left_out(page: Path, tab: Page) -> None:
    show(tab, page)
    heads = tab.run(
        "[...document.querySelector('#labels > .scroll').querySelectorAll('th')]"
        ".map((head) => head.textContent)"
    )
    assert {"Dataset", "Generator"}.isdisjoint(heads)
    assert {"Annotator", "Step", "Agreement"} <= set(heads)
    assert "In all rows: Dataset: word_problems, Generator: generator" in tab.text()
    unknown = "[...document.querySelectorAll('td')].filter((cell) => /null|NaN|undefined/"
    assert tab.run(f"{unknown}.test(cell.textContent)).length") == 0


def test_nothing_is_cut_at_any_width(page: Path, tab: Page) -> None:
    for width in (320, 390, 700, 1000, 1440):
        tab.resize(width, 812, mobile=width < 500)
        try:
            show(tab, page)
            assert tab.run("document.documentElement.scrollWidth") == width
            cut = tab.run(
                "[...document.querySelectorAll('.sideways')].filter((box) => "
                "box.scrollWidth > box.clientWidth + 1 && "
                "getComputedStyle(box).overflowX !== 'auto').length"
            )
            assert cut == 0
        finally:
            tab.resize(1440, 900)


# The contrast of the WCAG of each text with what is painted behind it.
LOW_CONTRASTS = """
(() => {
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, i) => value * a + under[i] * (1 - a));
  const behind = (node) => {
    if (!node) return [255, 255, 255];
    const paint = parse(getComputedStyle(node).backgroundColor);
    return paint[3] === 1 ? paint.slice(0, 3) : over(paint, behind(node.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255)
      .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const isHidden = ["SCRIPT", "STYLE", "OPTION"].includes(node.tagName);
    if (isHidden || !walker.currentNode.data.trim()) continue;
    const style = getComputedStyle(node);
    const ground = behind(node);
    const text = over(parse(node instanceof SVGElement ? style.fill : style.color), ground);
    const [a, b] = [light(text), light(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = `${node.tagName}.${node.className.baseVal ?? node.className}`;
    if (contrast < 4.5) low.set(name, contrast);
  }
  return [...low];
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast(scheme: str, page: Path, tab: Page) -> None:
    tab.prefer(scheme)
    try:
        show(tab, page, "#show=suspicious")
        # Hidden lines and pressed marks have colours of their own.
        tab.run("document.querySelector('.legend button').click()")
        for mark in ("right", "wrong"):
            tab.run(f"document.querySelector('.mark.{mark}').click()")
        tab.run("document.querySelector('.step .fold').click()")
        tab.wait_for("document.querySelector('.rollouts li')")
        assert tab.run("document.body.innerText.length") > 1000
        assert tab.run(LOW_CONTRASTS) == []
    finally:
        tab.prefer("light")
