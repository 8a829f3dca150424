"""How a profile cuts texts into steps, and what it keeps of them, from every source alike."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.annotation.steps import steps_of
from assets.definitions import assets_of, resources_of
from assets.deployment import Deployment
from cli.app import main
from resources.files.imported_solutions import load_solutions
from resources.files.label_import import LabelRules, import_labels, scan_labels
from resources.files.problems import load_problems
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.solutions import draw_candidates, draw_solutions
from resources.sampling.stage import CompletionModel, Shard
from resources.storage.home import Home
from resources.storage.journal import read_journal
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.nli import nli_labels
from shepherd.annotators.outcome_closure import OutcomeClosure
from shepherd.annotators.problem import Rollout
from shepherd.annotators.tree_search import TreeSearch
from shepherd.rollouts import split_solutions
from shepherd.schemas import SOLUTIONS, STEPS
from shepherd.settings import DatasetSettings, SamplingSettings, Settings, SplittingSettings
from tests.fake_engine import FakeEngine
from tests.profiles import TINY
from tests.written import problems_with, solutions_and_steps

STRIP = SplittingSettings(calculations="strip")
GOLD = "He sold 48/2 = <<48/2=24>>24.\n#### 24"


def published(folder: Path, splitting: SplittingSettings) -> DatasetSettings:
    """GSM8K with one problem a split, and a solution of the test problem."""
    pl.DataFrame({"question": ["a"], "answer": [GOLD]}).write_ndjson(folder / "train.jsonl")
    pl.DataFrame({"question": ["t"], "answer": [GOLD]}).write_ndjson(folder / "test.jsonl")
    sampled = [f"<<48/2=24>>24. So it is <<{n}>>24.\nA: 24" for n in (1, 2)]
    pl.DataFrame({"question": ["t", "t"], "text": sampled}).write_ndjson(folder / "s.jsonl")
    paths = {name: str(folder / f"{name}.jsonl") for name in ("train", "test")}
    return DatasetSettings.model_validate(
        {
            "source": "gsm8k",
            **paths,
            "solutions": str(folder / "s.jsonl"),
            "splitting": splitting.model_dump(),
        }
    )


def test_calculations_stay_in_gold_and_imported_solutions_or_go(tmp_path: Path) -> None:
    kept = published(tmp_path, SplittingSettings())
    problems, _ = load_problems("g", kept, seed=0)
    assert set(problems["gold_solution"]) == {GOLD}
    solutions, _ = load_solutions("g", kept, problems)
    assert solutions["num_samples"].to_list() == [1, 1]
    stripped = published(tmp_path, STRIP)
    bare, _ = load_problems("g", stripped, seed=0)
    assert set(bare["gold_solution"]) == {"He sold 48/2 = 24.\n#### 24"}
    assert bare.drop("gold_solution").equals(problems.drop("gold_solution"))
    solutions, _ = load_solutions("g", stripped, bare)
    assert solutions.select("text", "num_samples", "is_correct").rows() == [
        ("24. So it is 24.\nA: 24", 2, True)
    ]


class Annotating(FakeEngine):
    """Writes a calculator annotation into every completion."""

    def poll(self) -> pl.DataFrame:
        return annotated(super().poll())


def annotated(completions: pl.DataFrame) -> pl.DataFrame:
    return completions.with_columns(text=pl.lit("<<1+1=2>>") + pl.col("text"))


def test_calculations_are_stripped_from_what_is_drawn_and_stay_in_the_journal(
    tmp_path: Path,
) -> None:
    problems = pl.DataFrame({"problem_id": ["p"], "question": ["How many?"], "gold_answer": ["2"]})
    sampler = CompletionModel("weak", "plain", {}, Annotating)
    sampling = SamplingSettings(samples_per_problem=4, num_candidates=4)
    shard = Shard("words", "00", tmp_path, run_seed=7, splitting=STRIP)
    for stage in (draw_solutions, draw_candidates):
        texts = stage(problems, sampler, sampling, shard).frame["text"]
        assert texts.str.starts_with("Step 1:").all()
    journal = read_journal(tmp_path / "solutions" / "words" / "00" / "weak.journal")
    assert journal["text"].str.starts_with("<<1+1=2>>Step 1:").sum() == 4


def test_rollouts_are_kept_as_solutions_are(tmp_path: Path) -> None:
    solutions = pl.DataFrame(
        {"solution_id": ["s"], "problem_id": ["p"], "text": ["a\nb"], "is_correct": [False]}
    )
    problems = pl.DataFrame({"problem_id": ["p"], "question": ["How many?"], "gold_answer": ["2"]})
    sampler = CompletionModel("strong", "plain", {}, Annotating)
    sampling = SamplingSettings()
    steps = split_solutions(solutions)
    for annotator in (MonteCarlo(3), OutcomeClosure(3)):
        shard = Shard("words", "00", tmp_path / annotator.name, run_seed=7, splitting=STRIP)
        stage = rollout_stage(sampler, sampling, shard)
        written = WrittenSolutions(problems, solutions, steps)
        drawn = draw_rollouts(stage, written, [annotator])
        assert drawn.frame["text"].str.starts_with("Step 1:").sum() == 3


def test_calculations_are_stripped_from_published_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    rows = [
        {"prompt": "a", "completions": ["2 = <<1+1=2>>2\n", "So 2"], "labels": [True, False]},
        {"prompt": "b", "completions": ["<<1+1=2>>"], "labels": [True]},
    ]
    pl.DataFrame(rows).write_ndjson(file)
    rules = LabelRules("trl", "published", dataset="g", splitting=STRIP)
    report = import_labels([file], tmp_path / "in", rules, max_rejected_share=0.5)
    assert (report.num_solutions, report.num_rejected) == (1, 1)
    assert scan_labels(tmp_path / "in").collect()["steps"].to_list() == [["2 = 2\n\n", "So 2"]]
    options = [
        "--format",
        "trl",
        "--annotator",
        "p",
        "--dataset",
        "g",
        "--out",
        str(tmp_path / "c"),
    ]
    assert main(["labels", "import", str(file), *options]) == 0
    assert scan_labels(tmp_path / "c").collect()["steps"][0][0] == "2 = <<1+1=2>>2\n\n"
    assert main(["labels", "import", str(file), *options, "--calculations", "strip",
                 "--max-rejected-share", "0.5"]) == 0  # fmt: skip
    assert scan_labels(tmp_path / "c").collect()["steps"][0][0] == "2 = 2\n\n"


def test_each_dataset_is_cut_as_its_own_settings_say(tmp_path: Path) -> None:
    name, dataset = next(iter(TINY.datasets.items()))
    cut = dataset.model_copy(update={"splitting": SplittingSettings(method="sentence")})
    settings = TINY.model_copy(update={"datasets": {name: cut}})
    deployed = Deployment(settings, Home(tmp_path))
    text = "Step 1: One. Two.\nStep 2: Three."
    row = {
        "solution_id": "s", "problem_id": "p", "generator": "g", "text": text, "is_correct": True,
        "grade_reason": "exact", "num_samples": 1, "finish_reason": "stop", "num_tokens": 1,
        "seed": 0, "answer": "3",
    }  # fmt: skip
    for shard in ("00", "01"):
        frame = pl.DataFrame([row] if shard == "00" else [], schema=SOLUTIONS.schema)
        deployed.lake.write(SOLUTIONS, frame, name, shard)
    steps = steps_of(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [steps, dg.AssetSpec("solutions", partitions_def=steps.partitions_def)],
            selection=[steps],
            resources=resources_of(deployed),
            instance=instance,
            partition_key=f"{name}|00",
        )
    found = deployed.lake.read(STEPS, name, "00")
    assert found["text"].to_list() == ["Step 1: One. ", "Two.\n", "Step 2: Three."]


def test_gold_solutions_and_continuations_are_cut_as_solutions_are() -> None:
    problems = problems_with("One. Two.")
    solutions, _ = solutions_and_steps((("One. Three.", False),), "p")
    cut = split_solutions(solutions, "sentence")
    asked: list[tuple[str, str]] = []

    def entails(pairs: object) -> list[float]:
        asked.extend(pairs)  # type: ignore[call-overload]
        return [1.0] * len(asked)

    labels = nli_labels(cut, solutions, problems, entails, "sentence")
    assert labels["hard"].to_list() == [1, 0]
    assert asked == []
    rollouts = [Rollout(True, ""), Rollout(False, "One. Two.")]
    cut_by = TreeSearch(2, 1, "sentence")._state("p", "", rollouts)
    assert list(cut_by.wrong) == [("One. ", "Two.")]
    assert not TreeSearch(2, 1)._state("p", "", rollouts).wrong


def versions(settings: Settings) -> dict[str, str | None]:
    return {
        key.to_user_string(): version
        for asset in assets_of(settings)
        for key, version in asset.code_versions_by_key.items()
    }


@pytest.mark.parametrize(
    ("splitting", "stale"),
    [
        (
            {"method": "sentence"},
            {
                "steps",
                "candidate_scores",
                "greedy_solutions",
                "orm_ppo",
                "step_ppo",
                "report",
            },
        ),
        (
            {"calculations": "strip"},
            {
                *("problems", "rejected_problems"),
                *("solutions", "solution_costs", "rejected_solutions"),
                *("rollouts", "asked_rollouts", "search_trees", "rollout_costs"),
                *("candidates", "candidate_costs"),
                "rft",
                "greedy_solutions",
            },
        ),
    ],
)
def test_what_depends_on_the_choice_is_stale_when_it_changes(
    splitting: dict[str, str], stale: set[str]
) -> None:
    before = versions(TINY)
    profile = TINY.model_dump()
    profile["datasets"]["word_problems"]["splitting"] = splitting
    after = versions(Settings.model_validate(profile))
    assert {name for name in before if before[name] != after[name]} == stale


def test_labels_and_solutions_of_one_dataset_are_refused() -> None:
    dataset = {"source": "gsm8k", "labels": "a.jsonl", "solutions": "b.jsonl"}
    with pytest.raises(ValueError, match="solutions and labels: name one"):
        Settings.model_validate(
            {"datasets": {"g": dataset}, "annotation": {"train_on": "imported"}}
        )
