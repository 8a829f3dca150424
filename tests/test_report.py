"""The report: equal bytes, the content of the lake, and nothing that a browser would run."""

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest

from resources.report import DATA_FOLDER, report_relations
from resources.report.curves import CURVES, training_curves
from resources.report.facts import commit_of, run_facts
from resources.report.problems import LIMITS, Json, cut
from resources.report.rendering import PAGE, render
from resources.storage.home_files import LOCAL
from resources.storage.sql_files import sql_models
from shepherd.settings import Settings
from tests.profiles import TINY
from tests.report_pages import FACTS, FRAMES, build, content_of, page_of
from tests.small_lake import NUM_ROLLOUTS


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the small lake, beside its warehouse."""
    return build(FRAMES, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def warehouse(page: Path) -> Path:
    """The warehouse of the small lake, to read."""
    return page.with_name("warehouse.duckdb")


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


@pytest.mark.parametrize(
    "change", ["drop table quality_by_cost", "alter table int_labelled_steps drop soft"]
)
def test_a_warehouse_of_another_version_is_named(
    change: str, warehouse: Path, tmp_path: Path
) -> None:
    older = Path(shutil.copy(warehouse, tmp_path))
    with duckdb.connect(older) as connection:
        connection.execute(change)
    with pytest.raises(ValueError, match=r"w\w+.duckdb: was built by another .* warehouse build"):
        page_of(older, tmp_path)


def test_the_page_asks_no_network_for_anything(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\(|@import|XMLHttpRequest""", text)
    # These exist where `shepherd report --serve` serves the page.
    assert set(re.findall(r"fetch\(([^,)]*)", text)) == {'"marks"', '"selection.parquet"'}
    addresses = set(re.findall(r"https?://[\w./]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; " in text
    assert re.search(r"script-src 'sha256-[^' ]*'\">", text)


def test_the_page_makes_no_markup_of_text() -> None:
    for path in PAGE.glob("*.js"):
        code = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", code)


def test_the_content_is_the_lake(page: Path) -> None:
    content = content_of(page)
    problems = {problem["id"]: problem for problem in content["problems"]}
    assert set(problems) == set(FRAMES["problems"]["problem_id"])
    solutions = FRAMES["solutions"]
    scores = FRAMES["held_out_scores"].select("solution_id", "step_scores").iter_rows()
    held_out = {key: [round(score, 4) for score in values] for key, values in scores}
    assert held_out
    for problem_id, problem in problems.items():
        drawn = solutions.filter(problem_id=problem_id)
        texts = dict(drawn.select("solution_id", "text").iter_rows())
        for at, solution in enumerate(problem["solutions"]):
            steps = problem["texts"]["steps"][at]
            assert len(steps) == solution["length"]
            if problem["split"] == "test":
                assert None not in solution["scores"]
                continue
            assert "".join(steps) == texts[solution["id"]]
            assert solution.get("scores") == held_out.get(solution["id"])
            hard, soft = solution["hard"]["monte_carlo"], solution["soft"]["monte_carlo"]
            *early, last = problem["texts"]["prefixes"][at]
            assert last is None
            assert hard[-1] == str(int(solution["correct"]))
            for step, prefix in enumerate(early):
                right = [rollout["correct"] for rollout in problem["drawn"][prefix]]
                assert len(right) == solution["rollouts"][step] == NUM_ROLLOUTS
                assert (int(hard[step]), soft[step]) == (any(right), sum(right) / len(right))
        if problem["split"] == "train":
            assert len(problem["solutions"]) == drawn.height
            assert problem["draws"][1] == drawn["num_samples"].sum()


def test_what_is_left_out_is_limited_and_counted(
    warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "page_solutions", 12)
    monkeypatch.setitem(LIMITS, "solutions", 3)
    monkeypatch.setitem(LIMITS, "rollouts", 1)
    content = content_of(page_of(warehouse, tmp_path))
    problems = content["problems"]
    assert {problem["split"] for problem in problems} == {"train", "test"}
    assert 9 < sum(len(problem["solutions"]) for problem in problems) <= 12
    assert content["limits"]["page_solutions"] == 12
    for problem in problems:
        assert len(problem["solutions"]) <= 3
        assert {len(rollouts) for rollouts in problem["drawn"].values()} <= {1}
    train = [problem for problem in problems if problem["split"] == "train"]
    assert any(problem["distinct"] > len(problem["solutions"]) for problem in train)
    suspicious = [
        any(s["correct"] and "0" in s["hard"]["monte_carlo"] for s in problem["solutions"])
        for problem in train
    ]
    assert any(suspicious)


def test_many_solutions_are_in_files_beside_the_page(
    page: Path, warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.report.rendering.SELF_CONTAINED_SOLUTIONS", 10)
    monkeypatch.setattr("resources.report.rendering.PIECE_PROBLEMS", 5)
    large = page_of(warehouse, tmp_path)
    files = sorted(path.name for path in (tmp_path / DATA_FOLDER).iterdir())
    assert files == sorted(f"{kind}-{n}.js" for kind in ("texts", "rollouts") for n in range(4))
    whole, parted = content_of(page), content_of(large)
    assert parted.pop("pieces") != whole.pop("pieces")
    assert parted == whole
    # A report that holds its data itself again leaves no old files behind.
    monkeypatch.undo()
    page_of(warehouse, tmp_path)
    assert not (tmp_path / DATA_FOLDER).exists()


def test_a_folder_of_other_files_is_not_replaced(warehouse: Path, tmp_path: Path) -> None:
    notes = tmp_path / DATA_FOLDER / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    with pytest.raises(ValueError, match="report_files: would be replaced, and holds something"):
        page_of(warehouse, tmp_path)
    assert notes.read_text() == "mine"


def test_long_texts_are_cut_and_say_so() -> None:
    assert cut("short") == "short"
    assert cut("x" * 104_000).endswith("x … (100,000 more characters)")


def test_marks_of_the_template_inside_the_data_stay_data() -> None:
    content = {"profile": "%%DATA%%<b>", "facts": [], "limits": {}, "marts": {}, "studies": []}
    page = render(content, []).page
    assert page.count("%%DATA%%&lt;b&gt;") == 2


def test_without_a_warehouse_it_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build it with"):
        page_of(tmp_path / "none.duckdb", tmp_path)


def test_the_title_says_which_run_it_is(page: Path) -> None:
    title = re.findall("<title>(.*)</title>", page.read_text())
    assert title == ["demo · date 2026-01-02 · seed 7 · commit abc1234 · models - · N -"]
    facts = dict(run_facts(TINY, LOCAL.written(page.with_name("warehouse.duckdb"))))
    assert list(facts) == [name for name, _ in FACTS]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", facts["date"])
    assert facts["seed"] == str(TINY.seed)
    assert "completer base-large (fine-tuned)" in facts["models"]
    assert "2 rollouts a prefix" in facts["N"]


def test_facts_that_are_unknown_are_a_dash(tmp_path: Path) -> None:
    words = {"source": "word_problems", "solutions": "s.jsonl", "num_train": 1}
    imported = Settings.model_validate({"datasets": {"words": words}})
    facts = dict(run_facts(imported, LOCAL.written(tmp_path / "none")))
    assert (facts["date"], facts["models"], facts["N"]) == ("-", "-", "-")
    assert commit_of(tmp_path) == "-"


def curves_of(models: Path) -> list[Json]:
    return training_curves(LOCAL.parts_of_models(models, CURVES))


def test_curves_of_models_are_read_and_thinned(tmp_path: Path) -> None:
    from training.curves import CurveWriter

    assert curves_of(tmp_path) == []
    writer = CurveWriter(tmp_path / "generator", 0)
    for step in range(401):
        writer.write(step, {"train/loss": 1 / (1 + step), "train/rate": 0.1})
    writer.close()
    (tmp_path / "without").mkdir()
    (curve,) = curves_of(tmp_path)
    assert (curve["model"], curve["metric"]) == ("generator", "training loss")
    assert len(curve["points"]) == 134
    assert curve["points"][-1] == [400, round(1 / 401, 6)]


def test_a_file_of_the_study_that_holds_no_results_is_named(
    warehouse: Path, tmp_path: Path
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "paper.json").write_text(json.dumps({"results": [{"name": "x"}]}))
    with pytest.raises(ValueError, match=r"paper\.json: not the results .* --json"):
        page_of(warehouse, tmp_path)
