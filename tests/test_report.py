"""The report: self-contained, equal bytes, and inert whatever a model wrote - in a real browser."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources import report
from resources.report import build_report, cut, render
from resources.warehouse import build_warehouse
from shepherd.labels import label_accuracy
from tests.browser import dump_dom, find_chromium
from tests.small_lake import NUM_ROLLOUTS, small_lake, write_lake

FRAMES = small_lake()
HOSTILE = (
    "</script><script>document.title = 'owned'</script>"
    "<img src=x onerror=\"document.title = 'owned'\"><!-- ]]> %%SCRIPT%% ${1} `x` <b>bold</b> "
    "[link](javascript:alert(1)) &lt; \u202eright to left\u202c \u0000 \U0001f40f"
)
CHROMIUM = find_chromium()
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def build(frames: dict[str, pl.DataFrame], root: Path, profile: str = "demo") -> Path:
    build_warehouse(write_lake(frames, root / "lake"), root / "warehouse.duckdb")
    build_report(root / "warehouse.duckdb", root / "report.html", profile=profile)
    return root / "report.html"


def content_of(page: Path) -> dict[str, Any]:
    packed = re.search(r'id="data">([^<]*)<', page.read_text())
    assert packed
    content: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return content


def dom_after(page: Path, script: str) -> str:
    """Return the document after a script of the test has run in the page as well."""
    assert CHROMIUM is not None
    opened = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    probe = page.with_name("probe.html")
    late = f"<script>setTimeout(() => {{ {script} }}, 3000)</script></body>"
    probe.write_text(opened.replace("</body>", late))
    return dump_dom(CHROMIUM, probe.as_uri())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(FRAMES, tmp_path_factory.mktemp("report"))


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


def test_the_page_asks_no_network_for_anything(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\(|@import|fetch\(|XMLHttpRequest""", text)
    addresses = set(re.findall(r"https?://[\w./]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_the_page_makes_no_markup_of_text() -> None:
    for path in report.PAGE.glob("*.js"):
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_PROBLEMS", 2)
    monkeypatch.setattr(report, "MAX_SOLUTIONS", 3)
    monkeypatch.setattr(report, "MAX_ROLLOUTS", 1)
    content = content_of(build(FRAMES, tmp_path))
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
    page = render({"profile": "%%DATA%%<b>", "limits": {}, "marts": {}, "problems": []})
    assert page.count("%%DATA%%&lt;b&gt;") == 2


def test_without_a_warehouse_it_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build it with"):
        build_report(tmp_path / "none.duckdb", tmp_path / "report.html", profile="demo")


@needs_chromium
def test_the_page_draws_itself_under_its_own_policy(page: Path) -> None:
    assert CHROMIUM is not None
    dom = dump_dom(CHROMIUM, page.as_uri())
    found = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    assert found.agreement is not None
    agreement = f"{100 * found.agreement:.1f}"
    assert f"Hard labels from rollouts agree with the oracle on {agreement}" in dom
    assert dom.count('class="chart"') == 4
    for name in ("PRM", "SC+PRM", "ORM", "SC+ORM", "SC", "oracle"):
        assert f">{name}</text>" in dom
    assert dom.count('role="list"') == 1
    assert "The page holds all 18 problems" in dom
    assert dom.count('class="card"') > 0


@needs_chromium
def test_an_empty_lake_gives_a_page_that_says_so(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    dom = dump_dom(CHROMIUM, build({}, tmp_path).as_uri())
    for message in (
        "No evaluations yet",
        "No labels yet",
        "Nothing was sampled",
        "No problem matches",
    ):
        assert message in dom


@needs_chromium
def test_a_step_unfolds_its_rollouts_and_filters_choose_problems(page: Path) -> None:
    dom = dom_after(
        page,
        """
        document.querySelector("button.step").click();
        const unfolded = document.querySelectorAll(".rollouts li").length;
        const show = document.querySelector('select[aria-label="Show"]');
        show.value = "Right answer with a step labelled wrong";
        show.dispatchEvent(new Event("input"));
        const suspicious = document.querySelectorAll(".list button").length;
        const search = document.querySelector("input");
        search.value = "no such words";
        search.dispatchEvent(new Event("input"));
        const none = document.querySelectorAll(".list button").length;
        document.title = JSON.stringify([unfolded, suspicious, none]);
        """,
    )
    joined = FRAMES["steps"].join(FRAMES["step_labels"], on="step_id")
    wrong = joined.filter(pl.col("hard") == 0)["solution_id"].implode()
    expected = FRAMES["solutions"].filter("is_correct", pl.col("solution_id").is_in(wrong))
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title
    assert json.loads(title[1]) == [NUM_ROLLOUTS, expected["problem_id"].n_unique(), 0]


@needs_chromium
def test_hostile_text_stays_text(tmp_path: Path) -> None:
    page = build(hostile_frames(), tmp_path, profile=HOSTILE)
    assert page.read_text().count("<script") == 2
    dom = dom_after(
        page, "for (const step of document.querySelectorAll('button.step')) step.click();"
    )
    body = dom[: dom.index('id="data"')]
    assert "<title>owned" not in dom
    assert "<img" not in body
    assert "<b>bold" not in body
    assert "&lt;img src=x" in body
    assert "more characters)" in body
    assert 'class="rollouts"' in body
