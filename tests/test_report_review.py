"""The report's solutions in a browser: filters, addresses, keys, search, marks and downloads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.browser import Page, find_chromium, open_page
from resources.report.problems import PageProblem
from resources.report.rendering import render
from tests.report_pages import (
    FRAMES,
    HOSTILE,
    build,
    choose,
    content_of,
    dom_of,
    hostile_frames,
    listed,
    page_of,
    show,
)
from tests.small_lake import NUM_ROLLOUTS

CURRENT = "document.querySelector('.step.current')"
QUESTION = "document.querySelector('.problem').textContent"
QUESTIONS = dict(FRAMES["problems"].select("problem_id", "question").iter_rows())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the small lake, beside its warehouse."""
    return build(FRAMES, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    """A tab of one browser for all tests of this module."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with open_page(chromium) as opened:
        yield opened


def address(tab: Page) -> dict[str, str]:
    """Return the choices in the page's address."""
    return dict(tab.run("[...new URLSearchParams(location.hash.slice(1))]"))


def coloured(tab: Page) -> int:
    return int(tab.run("document.querySelectorAll('.step[style*=background]').length"))


def wrong_steps(labels: str = "step_labels") -> pl.DataFrame:
    """Return the steps that an annotator labels wrong, with their solutions."""
    steps = FRAMES["steps"].join(FRAMES[labels].filter(hard=0), on="step_id")
    return steps.join(FRAMES["solutions"].select("solution_id", "is_correct"), on="solution_id")


def disputed_steps() -> pl.DataFrame:
    """Return the steps that Monte Carlo and the oracle label differently."""
    joined = FRAMES["steps"].join(FRAMES["step_labels"], on="step_id")
    both = joined.join(FRAMES["oracle_labels"], on="step_id", suffix="_true")
    return both.filter(pl.col("hard") != pl.col("hard_true"))


def scored_apart() -> pl.DataFrame:
    """Return the steps of held-out problems that the PRM and Monte Carlo call differently."""
    scores = FRAMES["held_out_scores"].select(
        "solution_id",
        score="step_scores",
        step_index=pl.int_ranges(1, pl.col("step_scores").list.len() + 1),
    )
    scored = scores.explode("score", "step_index")
    labels = FRAMES["step_labels"].filter(annotator="monte_carlo")
    steps = (
        FRAMES["steps"].join(scored, on=["solution_id", "step_index"]).join(labels, on="step_id")
    )
    return steps.filter((pl.col("score") >= 0.5) != (pl.col("hard") == 1))


def test_a_step_unfolds_its_rollouts(page: Path, tab: Page) -> None:
    show(tab, page)
    tab.run("document.querySelector('.fold').click()")
    tab.wait_for(f"document.querySelectorAll('.rollouts li').length === {NUM_ROLLOUTS}")
    tab.run("document.querySelector('.fold').click()")
    assert tab.run("document.querySelectorAll('.rollouts').length") == 0


def test_filters_find_suspicious_and_disputed_problems(page: Path, tab: Page) -> None:
    suspicious = wrong_steps().filter("is_correct")
    lowest = (
        FRAMES["candidate_scores"]
        .filter(reward_model="process_reward_model")
        .select("candidate_id", lowest=pl.col("step_scores").list.min())
    )
    differing = FRAMES["candidates"].join(lowest, on="candidate_id")
    differing = differing.filter((pl.col("lowest") >= 0.5) != pl.col("is_correct"))
    differing = pl.concat([frame.select("problem_id") for frame in (differing, scored_apart())])
    show(tab, page)
    for name, expected in (
        ("Right answer with a step labelled wrong", suspicious),
        ("Annotators differ", disputed_steps()),
        ("PRM and label differ", differing),
        ("All problems", FRAMES["problems"]),
    ):
        choose(tab, "Show", name)
        assert listed(tab) == set(expected["problem_id"])
        assert f"{len(listed(tab))} of {FRAMES['problems'].height} problems" in tab.text()
    choose(tab, "Search", "no such words")
    assert listed(tab) == set()


@pytest.mark.parametrize("name", ["suspicious", "disputed"])
def test_the_step_that_made_the_match_comes_first_and_is_outlined(
    name: str, page: Path, tab: Page
) -> None:
    culprits = disputed_steps() if name == "disputed" else wrong_steps().filter("is_correct")
    show(tab, page, f"#show={name}")
    for at in range(2):
        tab.run(f"document.querySelectorAll('.list a')[{at}].click()")
        tab.wait_for(f"document.querySelectorAll('.list a')[{at}].ariaCurrent === 'true'")
        chosen = tab.wait_for(
            "new URLSearchParams(location.hash.slice(1)).get('problem') && location.hash"
        )
        problem_id = address(tab)["problem"]
        tab.wait_for(f"{QUESTION} === {json.dumps(QUESTIONS[problem_id])}")
        here = culprits.filter(problem_id=problem_id)
        first = address(tab)
        step = here.filter(solution_id=first["solution"], step_index=int(first["step"]))
        assert step.height == 1, chosen
        outlined = "[...document.querySelectorAll('.step.culprit .text')].map((s) => s.textContent)"
        assert sorted(tab.run(outlined)) == sorted(text.rstrip() for text in here["text"])
        assert tab.run(f"{CURRENT}.classList.contains('culprit')")
        assert tab.run(f"{CURRENT}.closest('.card') === document.querySelector('.card')")
        assert tab.run(
            f"(() => {{ const box = {CURRENT}.getBoundingClientRect();"
            " return box.top >= 0 && box.bottom <= innerHeight; })()"
        )


def test_the_address_holds_filters_order_and_place(page: Path, tab: Page) -> None:
    show(tab, page)
    assert tab.run("location.hash") == ""
    choose(tab, "Show", "Annotators differ")
    choose(tab, "Order", "Most disputed steps")
    choose(tab, "Labels by", "oracle")
    choose(tab, "Colour steps by", "hard label")
    choose(tab, "Search", "how many")
    tab.wait_for(CURRENT)
    choices = address(tab)
    assert {name: choices[name] for name in ("show", "sort", "by", "colour", "find")} == {
        "show": "disputed",
        "sort": "disputed",
        "by": "oracle",
        "colour": "hard",
        "find": "how many",
    }
    counts = disputed_steps().group_by("problem_id").len()
    most = counts.filter(pl.col("len") == pl.col("len").max())["problem_id"]
    assert choices["problem"] in most
    ids, current = listed(tab), tab.run(f"{CURRENT}.textContent")
    show(tab, page, tab.run("location.hash"))
    assert address(tab) == choices
    assert (listed(tab), tab.run(f"{CURRENT}.textContent")) == (ids, current)


def test_keys_move_through_problems_solutions_and_steps(page: Path, tab: Page) -> None:
    show(tab, page)
    tab.run("document.querySelector('.list [aria-current=true]').focus()")
    second = tab.run("document.querySelectorAll('.list a .question')[1].textContent")
    tab.press("ArrowDown")
    tab.wait_for(f"{QUESTION}.startsWith({json.dumps(second)})")
    assert tab.run("document.activeElement === document.querySelectorAll('.list a')[1]")
    at = "[document.activeElement.dataset.solution, document.activeElement.dataset.step]"
    tab.press("Enter")
    assert tab.run(at) == ["0", "0"]
    tab.press("ArrowDown")
    assert tab.run(at) == ["0", "1"]
    assert address(tab)["step"] == "2"
    tab.press("ArrowRight")
    assert tab.run(at) == ["1", "1"]
    tab.press("ArrowLeft")
    tab.press("ArrowUp")
    assert tab.run(at) == ["0", "0"]
    tab.press("Enter")
    tab.wait_for(f"document.querySelectorAll('.rollouts li').length === {NUM_ROLLOUTS}")
    # Tab leads on from the step to its own buttons, not to those of each step.
    for mark in ("right", "wrong", "remark"):
        tab.press("Tab")
        assert tab.run("document.activeElement.className") == f"mark {mark}"
    tab.press("Escape")
    assert tab.run("document.activeElement.matches('.list [aria-current=true]')")


def test_search_covers_steps_and_answers(page: Path, tab: Page) -> None:
    steps = FRAMES["steps"]
    words = steps["text"][3].split()[2:6]
    phrase = " ".join(words)
    matches = {
        problem_id
        for (problem_id,), part in [
            *FRAMES["solutions"].group_by("problem_id"),
            *FRAMES["candidates"].group_by("problem_id"),
        ]
        if all(word in QUESTIONS[problem_id] + "\n".join(part["text"]) for word in words)
    }
    show(tab, page)
    choose(tab, "Search", phrase)
    tab.wait_for(f"document.querySelectorAll('.list a').length === {len(matches)}")
    assert listed(tab) == matches
    tab.wait_for(f"{CURRENT}?.textContent.includes({json.dumps(words[-1])})")


def test_the_annotator_whose_labels_count_can_be_chosen(page: Path, tab: Page) -> None:
    expected = wrong_steps("oracle_labels").filter("is_correct")
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
    tab.wait_for("document.querySelectorAll('.step[style*=background]').length > 0")
    assert coloured(tab) == tab.run("document.querySelectorAll('.step').length") > 0
    held_out = FRAMES["held_out_scores"]["problem_id"].implode()
    trained_on = FRAMES["solutions"].filter(~pl.col("problem_id").is_in(held_out))
    show(tab, page, f"#problem={trained_on['problem_id'][0]}")
    for colour in ("hard label", "soft label"):
        choose(tab, "Colour steps by", colour)
        assert coloured(tab) > 0
    choose(tab, "Colour steps by", "PRM score")
    assert coloured(tab) == 0


def test_links_lead_to_a_problem_also_in_an_open_page(page: Path, tab: Page) -> None:
    first, *_, last = FRAMES["problems"]["problem_id"]
    chosen = "document.querySelector('.list [aria-current=true]').hash"
    show(tab, page, f"#problem={last}")
    assert (tab.run(chosen), tab.run(QUESTION)) == (f"#problem={last}", QUESTIONS[last])
    choose(tab, "Search", "no such words")
    tab.run(f"location.hash = 'problem={first}'")
    tab.wait_for(f"{QUESTION} === {json.dumps(QUESTIONS[first])}")
    assert tab.run(chosen) == f"#problem={first}"
    tab.run("location.hash = 'problem=gone'")
    tab.wait_for("document.body.innerText.includes('does not hold the problem of this link')")
    tab.run("history.back()")
    asked = "document.querySelector('.problem')?.textContent"
    tab.wait_for(f"{asked} === {json.dumps(QUESTIONS[first])}")


def marked(tab: Page) -> list[list[Any]]:
    """Return the marks of the page: their step's text, and the pressed buttons."""
    return list(
        tab.run(
            """[...document.querySelectorAll('.step')].map((step) => [
              step.querySelector('.text').textContent,
              [...step.querySelectorAll('.mark[aria-pressed=true]')].map((each) => each.className),
              step.querySelector('.noted').textContent,
            ]).filter(([, pressed]) => pressed.length)"""
        )
    )


def test_marks_and_notes_stay_in_the_browser(page: Path, tab: Page) -> None:
    show(tab, page)
    tab.run("localStorage.clear()")
    show(tab, page)
    tab.run(f"{CURRENT}.focus()")
    text = tab.run(f"{CURRENT}.querySelector('.text').textContent")
    tab.press("w")
    tab.press("n")
    tab.run("document.activeElement.value = '<b>adds</b> twice'")
    tab.press("Enter")
    expected = [[text, ["mark wrong", "mark remark"], "<b>adds</b> twice"]]
    assert marked(tab) == expected
    show(tab, page)
    assert marked(tab) == expected
    assert tab.run("document.querySelectorAll('.noted b').length") == 0
    choose(tab, "Show", "Steps that I marked")
    assert len(listed(tab)) == 1
    tab.run(f"{CURRENT}.focus()")
    tab.press("w")
    assert marked(tab) == [[text, ["mark remark"], "<b>adds</b> twice"]]
    tab.run("localStorage.clear()")


CAUGHT = """
(() => {
  window.saved = [];
  HTMLAnchorElement.prototype.click = function () {
    if (this.download) fetched.push(this);
  };
  window.fetched = [];
  URL.createObjectURL = (blob) => {
    blob.text().then((text) => saved.push(text));
    return "blob:";
  };
})()
"""


def saved(tab: Page, button: str) -> tuple[str, str]:
    """Press a button that saves a file; return its name and content."""
    tab.run(CAUGHT)
    tab.run(
        f"[...document.querySelectorAll('.take button')].find((b) => b.textContent === '{button}')"
        ".click()"
    )
    text = tab.wait_for("saved[0] ?? null")
    return str(tab.run("fetched[0].download")), str(text)


def test_a_selection_is_taken_along(page: Path, tab: Page) -> None:
    show(tab, page, "#show=disputed")
    name, text = saved(tab, "JSONL")
    assert name == "selection.jsonl"
    rows = {row["solution_id"]: row for row in map(json.loads, text.splitlines())}
    assert set(rows) == set(disputed_steps()["solution_id"])
    solutions = FRAMES["solutions"].rows_by_key("solution_id", named=True, unique=True)
    for solution_id, row in rows.items():
        solution = solutions[solution_id]
        assert "".join(row["steps"]) == solution["text"]
        assert (row["question"], row["is_correct"]) == (
            QUESTIONS[row["problem_id"]],
            solution["is_correct"],
        )
        labels = {each["annotator"]: each for each in row["labels"]}
        assert labels["monte_carlo"]["hard"] != labels["oracle"]["hard"]
        assert len(labels["monte_carlo"]["soft"]) == len(row["steps"])


def test_a_selection_can_be_labelled_in_label_studio(page: Path, tab: Page) -> None:
    show(tab, page, "#show=suspicious")
    name, text = saved(tab, "Label Studio")
    assert name == "label-studio.json"
    tasks = json.loads(text)
    assert {task["data"]["solution_id"] for task in tasks} == set(
        wrong_steps().filter("is_correct")["solution_id"]
    )
    for task in tasks:
        (prediction,) = [p for p in task["predictions"] if p["model_version"] == "monte_carlo"]
        assert len(prediction["result"]) == len(task["data"]["steps"])
        first = prediction["result"][0]
        assert (first["from_name"], first["to_name"]) == ("label_0", "step_0")
        assert first["value"]["choices"] in (["right"], ["wrong"])


def test_files_beside_the_page_are_read_when_they_are_needed(
    page: Path, tab: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.report.rendering.SELF_CONTAINED_SOLUTIONS", 10)
    monkeypatch.setattr("resources.report.rendering.PIECE_PROBLEMS", 5)
    large = page_of(page.with_name("warehouse.duckdb"), tmp_path)
    last = FRAMES["problems"]["problem_id"][-1]
    names = "window.names = []; const take = receive;"
    counted = f"{names} receive = (name, ...rest) => {{ names.push(name); take(name, ...rest); }}"
    show(tab, large, f"#problem={last}")
    assert tab.run(QUESTION) == QUESTIONS[last]
    tab.run(f"(() => {{ {counted} }})()")
    choose(tab, "Search", "fewer than")
    tab.wait_for("names.length === 3")
    assert len({name for name in tab.run("names") if name.startswith("texts-")}) == 3
    show(tab, large, f"#problem={FRAMES['solutions']['problem_id'][0]}")
    tab.run("document.querySelector('.fold').click()")
    tab.wait_for(f"document.querySelectorAll('.rollouts li').length === {NUM_ROLLOUTS}")
    for path in (tmp_path / "report_files").iterdir():
        path.write_text(path.read_text().replace(',"', ',"0', 1))
    show(tab, large)
    assert "belongs to another report" in tab.text()
    for path in (tmp_path / "report_files").iterdir():
        path.unlink()
    show(tab, large)
    assert "is missing: keep the folder report_files beside this page" in tab.text()


def test_thousands_of_solutions_in_one_page_can_be_browsed(
    page: Path, tab: Page, tmp_path: Path
) -> None:
    content = content_of(page)
    train = [problem for problem in content.pop("problems") if problem["split"] == "train"]
    problems = []
    for index in range(800):
        facts = dict(train[index % len(train)])
        texts = {**facts.pop("texts"), "question": f"Question {index}?"}
        changed = {"id": f"problem-{index}", "question": f"Question {index}?"}
        problems.append(PageProblem({**facts, **changed}, texts, facts.pop("drawn")))
    report = render(content, problems)
    assert 4_000 < sum(len(problem.facts["solutions"]) for problem in problems) <= 5_000
    assert not report.files
    large = tmp_path / "report.html"
    large.write_text(report.page)
    show(tab, large, "#problem=problem-777")
    assert tab.run(QUESTION) == "Question 777?"
    assert "800 of 800 problems" in tab.text()
    assert tab.run("document.querySelector('.list [aria-current=true] .question').textContent") == (
        "Question 777?"
    )
    choose(tab, "Search", "question 79")
    assert listed(tab) == {f"problem-{n}" for n in range(800) if "79" in str(n)}
    choose(tab, "Search", "")
    # The list grows as it is scrolled.
    assert len(listed(tab)) < 800
    grown = "(() => { const list = document.querySelector('.list'); list.scrollTop = 1e6; "
    tab.wait_for(grown + "return list.querySelectorAll('a').length === 800; })()")


def test_hostile_text_stays_text(tmp_path: Path, tab: Page) -> None:
    page = build(hostile_frames(), tmp_path, profile=HOSTILE)
    assert page.read_text().count("<script") == 3
    show(tab, page)
    tab.run("for (const fold of document.querySelectorAll('.fold')) fold.click()")
    unfolded = "document.querySelectorAll('.rollouts li').length"
    tab.wait_for(f"{unfolded} === {NUM_ROLLOUTS} * document.querySelectorAll('.fold').length")
    assert tab.run(unfolded) > 0
    dom = dom_of(tab)
    body = dom[: dom.index('id="data"')]
    assert "<title>owned" not in dom
    assert "<img" not in body
    assert "<b>bold" not in body
    assert "&lt;img src=x" in body
    assert "more characters)" in body
    assert 'class="rollouts"' in body
