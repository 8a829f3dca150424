"""The report: self-contained, with equal bytes, and safe from what a model wrote, in a browser."""

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from benchmarks.browser import Page, find_chromium, open_page
from resources.report import build_report, report_relations
from resources.report.problems import LIMITS, cut
from resources.report.rendering import PAGE, render
from resources.storage.sql_files import sql_models
from resources.storage.warehouse import build_warehouse
from shepherd.labels import label_accuracy
from tests.small_lake import NUM_ROLLOUTS, small_lake, write_lake

FRAMES = small_lake()
HOSTILE = (
    "</script><script>document.title = 'owned'</script>"
    "<img src=x onerror=\"document.title = 'owned'\"><!-- ]]> %%SCRIPT%% ${1} `x` <b>bold</b> "
    "[link](javascript:alert(1)) &lt; \u202eright to left\u202c \u0000 \U0001f40f"
)


def build(frames: dict[str, pl.DataFrame], root: Path, profile: str = "demo") -> Path:
    """Build a warehouse of frames and its page."""
    build_warehouse(write_lake(frames, root / "lake"), root / "warehouse.duckdb")
    return page_of(root / "warehouse.duckdb", root, profile)


def page_of(warehouse: Path, root: Path, profile: str = "demo") -> Path:
    """Write the page of a warehouse, with the studies of a folder."""
    page = root / "report.html"
    build_report(warehouse, root / "study", page, profile=profile)
    return page


def content_of(page: Path) -> dict[str, Any]:
    """Unpack the data of a page: the argument of :func:`render`."""
    html = page.read_text()
    packed = {name: re.search(rf'id="{name}">([^<]*)<', html) for name in ("data", "rollouts")}
    assert packed["data"]
    assert packed["rollouts"]
    content: dict[str, Any] = unpack(packed["data"][1])
    lines = packed["rollouts"][1].split("\n") if content["problems"] else []
    for problem, line in zip(content["problems"], lines, strict=True):
        rollouts = unpack(line)
        assert problem["rollouts"] == {at: len(drawn) for at, drawn in rollouts.items()}
        problem["rollouts"] = rollouts
    return content


def unpack(packed: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the small lake, beside its warehouse."""
    return build(FRAMES, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def warehouse(page: Path) -> Path:
    """The warehouse of the small lake, to read."""
    return page.with_name("warehouse.duckdb")


def hostile_frames() -> dict[str, pl.DataFrame]:
    """Plant hostile text wherever a model or a file could have written it."""
    hostile = pl.lit(HOSTILE)
    frames = dict(FRAMES)
    frames["problems"] = frames["problems"].with_columns(
        question=pl.col("question") + hostile, gold_answer=hostile, level=hostile
    )
    for table in ("solutions", "candidates", "rollouts"):
        frames[table] = frames[table].with_columns(
            text=pl.col("text") + hostile + "y" * 100_000, answer=hostile
        )
    for table in ("solutions", "candidates"):
        frames[table] = frames[table].with_columns(generator=hostile)
    frames["steps"] = frames["steps"].with_columns(text=pl.col("text") + hostile)
    frames["step_labels"] = frames["step_labels"].with_columns(annotator=hostile)
    frames["evaluations"] = frames["evaluations"].with_columns(generator=hostile)
    return frames


def test_equal_warehouses_give_equal_bytes(page: Path, tmp_path: Path) -> None:
    assert build(FRAMES, tmp_path).read_bytes() == page.read_bytes()


def test_the_report_reads_only_the_relations_that_it_declares(
    page: Path, warehouse: Path, tmp_path: Path
) -> None:
    fewer = Path(shutil.copy(warehouse, tmp_path))
    with duckdb.connect(fewer) as connection:
        for model in sql_models():
            if model.name not in report_relations():
                kind = "view" if model.layer == "staging" else "table"
                connection.execute(f"drop {kind} {model.name}")
    assert page_of(fewer, tmp_path).read_bytes() == page.read_bytes()


def test_the_page_asks_no_network_for_anything(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\(|@import|fetch\(|XMLHttpRequest""", text)
    addresses = set(re.findall(r"https?://[\w./]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_the_page_makes_no_markup_of_text() -> None:
    for path in PAGE.glob("*.js"):
        code = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", code)


def test_the_content_is_the_lake(page: Path) -> None:
    content = content_of(page)
    problems = {problem["id"]: problem for problem in content["problems"]}
    assert set(problems) == set(FRAMES["problems"]["problem_id"])
    solutions = FRAMES["solutions"]
    for problem_id, problem in problems.items():
        drawn = solutions.filter(problem_id=problem_id)
        if problem["split"] == "train":
            assert len(problem["solutions"]) == drawn.height
            assert problem["draws"][1] == drawn["num_samples"].sum()
            for solution in problem["solutions"]:
                *early, last = solution["steps"]
                assert last["prefix"] is None
                assert last["labels"]["monte_carlo"][0] == solution["correct"]
                for step in early:
                    rollouts = problem["rollouts"][step["prefix"]]
                    right = [rollout["correct"] for rollout in rollouts]
                    assert len(right) == NUM_ROLLOUTS
                    assert step["labels"]["monte_carlo"] == [any(right), sum(right) / len(right)]
        else:
            scores = [step["score"] for s in problem["solutions"] for step in s["steps"]]
            assert scores
            assert None not in scores


def test_what_is_left_out_is_limited_and_counted(
    warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "problems", 2)
    monkeypatch.setitem(LIMITS, "solutions", 3)
    monkeypatch.setitem(LIMITS, "rollouts", 1)
    content = content_of(page_of(warehouse, tmp_path))
    assert len(content["problems"]) == 4
    assert content["limits"]["problems"] == 2
    for problem in content["problems"]:
        assert len(problem["solutions"]) <= 3
        assert {len(rollouts) for rollouts in problem["rollouts"].values()} <= {1}
    train = [problem for problem in content["problems"] if problem["split"] == "train"]
    assert any(problem["distinct"] > len(problem["solutions"]) for problem in train)
    suspicious = [
        any(
            solution["correct"]
            and any(s["labels"]["monte_carlo"][0] == 0 for s in solution["steps"])
            for solution in problem["solutions"]
        )
        for problem in train
    ]
    assert any(suspicious)


def test_long_texts_are_cut_and_say_so() -> None:
    assert cut("short") == "short"
    assert cut("x" * 104_000).endswith("x … (100,000 more characters)")


def test_marks_of_the_template_inside_the_data_stay_data() -> None:
    page = render(
        {"profile": "%%DATA%%<b>", "limits": {}, "marts": {}, "studies": [], "problems": []}
    )
    assert page.count("%%DATA%%&lt;b&gt;") == 2


def test_without_a_warehouse_it_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build it with"):
        build_report(
            tmp_path / "none.duckdb", tmp_path / "study", tmp_path / "report.html", profile="demo"
        )


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


def write_study(root: Path, study: object) -> None:
    (root / "study").mkdir()
    (root / "study" / "paper.json").write_text(json.dumps(study))


def test_results_of_a_study_are_shown_where_there_are_any(
    page: Path, warehouse: Path, tmp_path: Path, tab: Page
) -> None:
    show(tab, page)
    assert tab.run("document.getElementById('study')") is None
    assert tab.run("document.querySelector('nav a[href=\"#study\"]')") is None
    write_study(tmp_path, STUDY)
    show(tab, page_of(warehouse, tmp_path), "#study")
    cells = tab.run("[...document.querySelectorAll('#study td')].map((cell) => cell.textContent)")
    assert cells == [STUDY["results"][0]["name"], "0.9512\u00a0share", "0.85\u00a0share", "", ""]
    assert tab.run("document.querySelectorAll('#study b, #study img').length") == 0


def test_a_file_of_the_study_that_holds_no_results_is_named(
    warehouse: Path, tmp_path: Path
) -> None:
    write_study(tmp_path, {"results": [{"name": "x"}]})
    with pytest.raises(ValueError, match=r"paper\.json: not the results .* --json"):
        page_of(warehouse, tmp_path)


def test_the_page_draws_itself_under_its_own_policy(page: Path, tab: Page) -> None:
    dom = dom_of(show(tab, page))
    accuracy = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    assert accuracy.agreement is not None
    agreement = f"{100 * accuracy.agreement:.1f}"
    assert f"Hard labels from rollouts agree with the oracle on {agreement}" in dom
    assert dom.count('class="chart"') == 5
    for name in ("PRM", "SC+PRM", "ORM", "SC+ORM", "SC", "oracle"):
        assert f">{name}</text>" in dom
    assert dom.count('role="list"') == 1
    assert "The page holds all 18 problems" in dom
    assert dom.count('class="card"') > 0


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


def test_an_empty_lake_gives_a_page_that_says_so(tmp_path: Path, tab: Page) -> None:
    dom = dom_of(show(tab, build({}, tmp_path)))
    for message in (
        "No evaluations yet",
        "No labels yet",
        "Nothing was sampled",
        "No problem matches",
    ):
        assert message in dom


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    """A tab of one browser for all tests of this module."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with open_page(chromium) as opened:
        yield opened


def show(tab: Page, page: Path, fragment: str = "") -> Page:
    """Open a report afresh, at a fragment, and wait until it has drawn itself."""
    tab.open("about:blank")
    tab.open(page.as_uri() + fragment)
    tab.wait_for("performance.getEntriesByName('drawn').length > 0")
    return tab


def dom_of(tab: Page) -> str:
    """Return the document as it is now."""
    return str(tab.run("document.documentElement.outerHTML"))


def choose(tab: Page, control: str, value: str) -> None:
    """Set a control by its label."""
    tab.run(
        f"""(() => {{
          const control = document.querySelector('[aria-label="{control}"]');
          control.value = {json.dumps(value)};
          control.dispatchEvent(new Event("input"));
        }})()"""
    )


def listed(tab: Page) -> set[str]:
    """Return the ids of the problems in the list."""
    hashes = tab.run("[...document.querySelectorAll('.list a')].map((link) => link.hash)")
    return {address.removeprefix("#problem=") for address in hashes}


def coloured(tab: Page) -> int:
    return int(tab.run("document.querySelectorAll('.step[style*=background]').length"))


def test_a_step_unfolds_its_rollouts(page: Path, tab: Page) -> None:
    show(tab, page)
    tab.run("document.querySelector('button.step').click()")
    tab.wait_for(f"document.querySelectorAll('.rollouts li').length === {NUM_ROLLOUTS}")
    tab.run("document.querySelector('button.step').click()")
    assert tab.run("document.querySelectorAll('.rollouts').length") == 0


def test_filters_find_suspicious_and_disputed_problems(page: Path, tab: Page) -> None:
    joined = FRAMES["steps"].join(FRAMES["step_labels"], on="step_id")
    wrong = joined.filter(pl.col("hard") == 0)["solution_id"].implode()
    suspicious = FRAMES["solutions"].filter("is_correct", pl.col("solution_id").is_in(wrong))
    both = joined.join(FRAMES["oracle_labels"], on="step_id", suffix="_true")
    disputed = both.filter(pl.col("hard") != pl.col("hard_true"))
    lowest = (
        FRAMES["candidate_scores"]
        .filter(reward_model="process_reward_model")
        .select("candidate_id", lowest=pl.col("step_scores").list.min())
    )
    differing = FRAMES["candidates"].join(lowest, on="candidate_id")
    differing = differing.filter((pl.col("lowest") >= 0.5) != pl.col("is_correct"))
    show(tab, page)
    for name, expected in (
        ("Right answer with a step labelled wrong", suspicious),
        ("Annotators differ", disputed),
        ("PRM and label differ", differing),
        ("All problems", FRAMES["problems"]),
    ):
        choose(tab, "Show", name)
        assert listed(tab) == set(expected["problem_id"])
        assert f"{len(listed(tab))} of {FRAMES['problems'].height} problems" in tab.text()
    choose(tab, "Search", "no such words")
    assert listed(tab) == set()


def test_the_annotator_whose_labels_count_can_be_chosen(page: Path, tab: Page) -> None:
    joined = FRAMES["steps"].join(FRAMES["oracle_labels"], on="step_id")
    wrong = joined.filter(pl.col("hard") == 0)["solution_id"].implode()
    expected = FRAMES["solutions"].filter("is_correct", pl.col("solution_id").is_in(wrong))
    show(tab, page)
    choose(tab, "Labels by", "oracle")
    choose(tab, "Show", "Right answer with a step labelled wrong")
    assert listed(tab) == set(expected["problem_id"])


def test_colour_is_one_choice_that_no_score_overrides(page: Path, tab: Page) -> None:
    test_problem = FRAMES["candidates"]["problem_id"][0]
    show(tab, page, f"#problem={test_problem}")
    assert coloured(tab) == 0
    assert "No step here has a soft label" in tab.text()
    tab.click("Colour by PRM score")
    assert coloured(tab) == tab.run("document.querySelectorAll('.step').length") > 0
    show(tab, page, f"#problem={FRAMES['solutions']['problem_id'][0]}")
    for colour in ("hard label", "soft label"):
        choose(tab, "Colour steps by", colour)
        assert coloured(tab) > 0
    choose(tab, "Colour steps by", "PRM score")
    assert coloured(tab) == 0


def test_links_lead_to_a_problem_also_in_an_open_page(page: Path, tab: Page) -> None:
    first, *_, last = FRAMES["problems"]["problem_id"]
    chosen = "document.querySelector('.list [aria-current=true]').hash"
    question = "document.querySelector('.problem').textContent"
    questions = dict(FRAMES["problems"].select("problem_id", "question").iter_rows())
    show(tab, page, f"#problem={last}")
    assert (tab.run(chosen), tab.run(question)) == (f"#problem={last}", questions[last])
    choose(tab, "Search", "no such words")
    tab.run(f"location.hash = 'problem={first}'")
    tab.wait_for(f"{question} === {json.dumps(questions[first])}")
    assert tab.run(chosen) == f"#problem={first}"
    tab.run("history.back()")
    tab.wait_for(f"{question} === {json.dumps(questions[last])}")
    tab.run("location.hash = 'problem=gone'")
    tab.wait_for("document.body.innerText.includes('does not hold the problem of this link')")


def test_sections_can_be_linked_to(page: Path, tab: Page) -> None:
    for section in ("verification", "labels", "cost", "grading", "solutions"):
        show(tab, page, f"#{section}")
        tab.wait_for(
            f"Math.abs(document.getElementById('{section}').getBoundingClientRect().top) < 60"
        )


def test_every_chart_has_its_numbers_in_a_table(page: Path, tab: Page) -> None:
    show(tab, page)
    assert tab.run("document.querySelectorAll('figure').length") == 5
    tables = tab.run(
        "[...document.querySelectorAll('figure')].map((figure) => "
        "[...figure.querySelectorAll('.numbers tbody tr')].map((row) => row.textContent))"
    )
    assert all(tables)
    single = FRAMES["evaluations"].filter(method="SC", num_candidates=8)["accuracy"].item()
    assert f"{100 * single:.1f}\u00a0%" in tables[0][-1]


def test_a_phone_scrolls_down_only(page: Path, tab: Page) -> None:
    tab.resize(375, 812, mobile=True)
    try:
        show(tab, page)
        assert tab.run("document.documentElement.scrollWidth") == 375
    finally:
        tab.resize(1440, 900)


def test_five_thousand_solutions_can_be_browsed(page: Path, tab: Page, tmp_path: Path) -> None:
    content = content_of(page)
    train = [problem for problem in content["problems"] if problem["split"] == "train"]
    content["problems"] = [
        {**train[index % len(train)], "id": f"problem-{index}", "question": f"Question {index}?"}
        for index in range(900)
    ]
    num_solutions = sum(len(problem["solutions"]) for problem in content["problems"])
    assert num_solutions > 5_000
    large = tmp_path / "report.html"
    large.write_text(render(content))
    show(tab, large, "#problem=problem-777")
    assert len(listed(tab)) == 900
    assert tab.run("document.querySelector('.problem').textContent") == "Question 777?"
    choose(tab, "Search", "question 89")
    assert listed(tab) == {f"problem-{n}" for n in range(900) if "89" in str(n)}


def test_hostile_text_stays_text(tmp_path: Path, tab: Page) -> None:
    page = build(hostile_frames(), tmp_path, profile=HOSTILE)
    assert page.read_text().count("<script") == 3
    show(tab, page)
    tab.run("for (const step of document.querySelectorAll('button.step')) step.click()")
    unfolded = "document.querySelectorAll('.rollouts').length"
    tab.wait_for(f"{unfolded} === document.querySelectorAll('button.step').length")
    assert tab.run(unfolded) > 0
    dom = dom_of(tab)
    body = dom[: dom.index('id="data"')]
    assert "<title>owned" not in dom
    assert "<img" not in body
    assert "<b>bold" not in body
    assert "&lt;img src=x" in body
    assert "more characters)" in body
    assert 'class="rollouts"' in body
