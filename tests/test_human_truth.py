"""Annotators are held against people's first errors, from draws that are kept."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from fake_engine import FakeEngine

from benchmarks import truth_labels
from benchmarks.annotated import AnnotatedSolutions, CompleterRollouts, roll_out
from benchmarks.command import USER_CAN_FIX
from benchmarks.human_rows import read_subset
from benchmarks.human_truth import BENCHMARK, measure_all
from benchmarks.truth_draws import drawn_part, in_own_folder, part_of
from benchmarks.truth_labels import label_all
from benchmarks.truth_settings import TruthSettings
from resources.sampling.rollouts import rollout_stage
from resources.sampling.stage import CompletionModel
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.requests import completion_block, completion_rows
from shepherd.schemas import ROLLOUTS
from shepherd.settings import EngineSettings, ModelSettings, SamplingSettings

STEPS = ["Tom has 1 + 1 = 2.", "2 + 1 = 3.", "The answer is: 3"]


def row(question: str, label: int, *, right: bool) -> dict[str, object]:
    return {
        "generator": "a model",
        "problem": question,
        "steps": STEPS,
        "final_answer_correct": right,
        "label": label,
        "gold_answer": "3" if right else "2",
    }


def write(folder: Path, rows: list[dict[str, object]]) -> Path:
    (folder / "gsm8k.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, rows)).encode())
    )
    return folder


def solutions(folder: Path, count: int = 6) -> AnnotatedSolutions:
    rows = [row(f"Question {n}?", (-1, 0, 1)[n % 3], right=n % 3 == 0) for n in range(count)]
    return read_subset(write(folder, rows), "gsm8k", None)


class Engines:
    """Opens fake engines, and remembers them."""

    def __init__(self) -> None:
        self.opened: list[FakeEngine] = []

    def __call__(self) -> FakeEngine:
        self.opened.append(FakeEngine())
        return self.opened[-1]


def completed_by(work: AnnotatedSolutions, engines: Engines, folder: Path) -> AnnotatedSolutions:
    model = CompletionModel("completer", "{question}\n", {"weights": "w"}, engines)
    shard = replace(work.shard, journals=folder)
    return replace(
        work, samplers={"completer": model}, sampling=SamplingSettings(max_tokens=9), shard=shard
    )


def test_solutions_have_their_blank_lines_and_gold_answers(tmp_path: Path) -> None:
    work = solutions(tmp_path, 3)
    assert set(work.solutions["text"]) == {"\n\n".join(STEPS)}
    assert sorted(work.problems["gold_answer"]) == ["2", "2", "3"]
    labels = work.steps.join(work.truth, on="step_id").sort("solution_id", "step_index")
    by_solution = labels.group_by("solution_id").agg("hard")["hard"].to_list()
    assert sorted(by_solution) == [[0, 0, 0], [1, 0, 0], [1, 1, 1]]


def test_published_problems_give_gold_answers_and_solutions(tmp_path: Path) -> None:
    published = {"question": "question  0?", "answer": "1 + 2 = 3\n#### 3,000"}
    gold = tmp_path / "test.jsonl"
    gold.write_text(json.dumps(published))
    rows = [{**row("Question 0?", -1, right=True), "gold_answer": None}]
    work = read_subset(write(tmp_path, rows), "gsm8k", gold)
    assert work.problems.select("gold_answer", "gold_solution").rows() == [
        ("3000", published["answer"])
    ]
    rows += [{**row("Unknown?", -1, right=True), "gold_answer": None}]
    with pytest.raises(ValueError, match=r"gsm8k\.jsonl\.gz:2: gold_answer: is missing .* --gold"):
        read_subset(write(tmp_path, rows), "gsm8k", gold)


def test_a_folder_without_the_subset_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--data: .* holds no math\.jsonl nor math\.jsonl\.gz"):
        read_subset(tmp_path, "math", None)


def test_another_number_or_annotator_draws_only_what_is_missing(tmp_path: Path) -> None:
    engines = Engines()
    work = completed_by(solutions(tmp_path), engines, tmp_path / "draws")
    first = roll_out(work, "completer", [MonteCarlo(2)])
    fewer = roll_out(work, "completer", [MonteCarlo(1), FirstSuccess(2)])
    assert len(engines.opened) == 1
    assert fewer.rollouts.join(first.rollouts, on=["prefix_id", "rollout_index"]).height
    roll_out(work, "completer", [MonteCarlo(3)])
    assert len(engines.opened[1].added) == first.rollouts.height // 2


def test_another_fingerprint_has_another_folder(tmp_path: Path) -> None:
    shard = replace(solutions(tmp_path).shard, journals=tmp_path)
    models = [CompletionModel("weak", "plain", {"weights": name}, FakeEngine) for name in "aab"]
    one, same, other = (
        in_own_folder(rollout_stage(model, SamplingSettings(), shard)).journal for model in models
    )
    assert one == same
    assert one.parent != other.parent
    assert tmp_path in one.parents


def test_the_drawn_part_ends_before_the_first_problem_that_lacks_a_rollout(tmp_path: Path) -> None:
    engines = Engines()
    work = completed_by(solutions(tmp_path), engines, tmp_path / "draws")
    ids = [problem.problem_id for problem in work.by_problem]
    # The third problem is not drawn.
    roll_out(part_of(work, [*ids[:2], *ids[3:]]), "completer", [MonteCarlo(2)])
    part, rollouts = drawn_part(work, [MonteCarlo(2), FirstSuccess(2)])
    assert [problem.problem_id for problem in part.by_problem] == ids[:2]
    assert len(engines.opened) == 1
    whole = roll_out(part, "completer", [MonteCarlo(2)])
    expected = whole.rollouts.sort("prefix_id", "rollout_index")
    got = rollouts.rollouts.join(expected, on="prefix_id", how="semi")
    assert got.sort("prefix_id", "rollout_index").equals(expected)


def test_nothing_drawn_is_said_in_one_line(tmp_path: Path) -> None:
    work = completed_by(solutions(tmp_path), Engines(), tmp_path / "draws")
    with pytest.raises(ValueError, match=r"--drawn: .*completer\.journal does not exist"):
        drawn_part(work, [MonteCarlo(2)])


def test_right_answers_by_wrong_ways_are_counted(tmp_path: Path) -> None:
    rows = [
        row("Lucky?", 1, right=True),
        row("Right?", -1, right=True),
        row("Wrong?", 0, right=False),
    ]
    work = completed_by(
        read_subset(write(tmp_path, rows), "gsm8k", None), Engines(), tmp_path / "draws"
    )
    settings = TruthSettings.model_validate(
        {"completer": {"base": "unused"}, "annotation": {"annotators": ["monte_carlo", "rule"]}}
    )
    rollouts = roll_out(work, "completer", settings.annotation.annotators_that_roll_out())
    labels = label_all(work, rollouts, settings, tmp_path)
    found = {result.name: result.value for result in measure_all(labels, work)}
    # A right answer proves all steps to rule: it misses every error behind one.
    assert found["rule: right answers by wrong ways"] == 1
    assert found["rule: of these found"] == 0
    assert found["rule: unlabelled"] == 1
    assert found["rule: error named too early"] == 0
    assert found["rule: error named too late or never"] == 1
    assert found["rule: accuracy, correct"] == 1
    assert found["rule: accuracy, erroneous"] == 0
    assert found["rule: tokens a label"] == 0
    assert found["monte_carlo: tokens a label"] == 8 * 7


def test_consensus_costs_both_and_leaves_solutions_out(tmp_path: Path) -> None:
    work = completed_by(solutions(tmp_path), Engines(), tmp_path / "draws")
    settings = TruthSettings.model_validate(
        {
            "completer": {"base": "unused"},
            "annotation": {
                "annotators": ["monte_carlo", "first_success"],
                "consensus": ["monte_carlo", "first_success"],
            },
        }
    )
    rollouts = roll_out(work, "completer", settings.annotation.annotators_that_roll_out())
    exact, sparing, both = label_all(work, rollouts, settings, tmp_path)
    assert (both.name, both.tokens) == ("consensus", exact.tokens + sparing.tokens)
    assert both.frame.select("step_id", "hard").equals(exact.frame.select("step_id", "hard"))


class Critic(FakeEngine):
    """Names paragraph 1 as a judge; to questions of entailment it says yes."""

    def poll(self) -> pl.DataFrame:
        drawn = completion_rows(super().poll())
        text = r"yes: \boxed{1}"
        return completion_block(one._replace(text=text, finish_reason="stop") for one in drawn)


def test_judge_and_language_model_are_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_model(name: str, model: ModelSettings, engine: EngineSettings) -> CompletionModel:
        def open_engine() -> Critic:
            opened.append(name)
            return Critic()

        return CompletionModel(name, "{question}\n", {"weights": model.base}, open_engine)

    monkeypatch.setattr(truth_labels, "open_model", open_model)
    gold = tmp_path / "test.jsonl"
    lines = [
        {"question": f"Question {n}?", "answer": "He has 2.\n2 + 0 = 2.\n#### 2"} for n in range(6)
    ]
    gold.write_text("\n".join(map(json.dumps, lines)))
    solutions(tmp_path)
    work = read_subset(tmp_path, "gsm8k", gold)
    asked = {"kind": "nli", "language_model": {"base": "asked"}}
    judge = {"kind": "judge", "base": "judge", "num_votes": 2}
    settings = TruthSettings.model_validate(
        {"completer": {"base": "unused"}, "annotation": {"annotators": [judge, asked]}}
    )
    for _ in range(2):
        none = CompleterRollouts(ROLLOUTS.empty(), 0.0)
        critic, nli = label_all(work, none, settings, tmp_path / "draws")
        found = {result.name: result.value for result in measure_all([critic, nli], work)}
        # A third of the solutions is right, a third wrong from each of the first two steps on.
        assert found["judge: accuracy, erroneous"] == 0.5
        assert found["judge: accuracy, correct"] == 0
        assert critic.tokens == 6 * 2 * 7
        # All steps but the last follow, and the last of a wrong solution is wrong.
        assert found["nli: accuracy, erroneous"] == 0
        assert found["nli: accuracy, correct"] == 1
        assert nli.tokens > 0
        assert nli.tokens % (2 * 7) == 0
    assert opened == ["judge", "nli"]


def test_settings_and_data_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert BENCHMARK.main(["--data", "folder"]) == USER_CAN_FIX
    assert "--settings and --data belong together" in capsys.readouterr().err
