"""Where a profile asks for several processes, Dagster launches them and hears what they did."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.deployment import Deployment
from assets.models.fine_tuning import ExamplePlans, figures_of, fine_tune
from assets.models.policies import train_by_reinforcement
from resources.storage.home import Home
from shepherd.settings import (
    DatasetSettings,
    EngineSettings,
    ModelSettings,
    PpoSettings,
    SamplingSettings,
    ScoringSettings,
    Settings,
    TrainingSettings,
)
from shepherd.word_problems import draw_problems
from tests.written import flawed_solutions
from training.runs import TrainingReport


def deployment(root: Path, base: Path, **fields: object) -> Deployment:
    training = TrainingSettings(epochs=2, learning_rate=1e-3, batch_size=8, max_length=192)
    model = ModelSettings(base=str(base), training=training.model_copy(update=fields))
    datasets = {"words": DatasetSettings(source="word_problems")}
    settings = Settings(
        datasets=datasets, generators={"weak": model}, completer=model, process_reward_model=model
    )
    return Deployment(settings, Home(root))


@pytest.mark.parametrize("num_processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_model_is_trained_and_tells_its_figures(
    num_processes: int, base: Path, tmp_path: Path
) -> None:
    target = deployment(tmp_path, base, num_processes=num_processes)
    examples = flawed_solutions(24).lazy()

    @dg.asset
    def process_reward_model() -> dg.MaterializeResult[None]:
        plans = ExamplePlans(examples, examples.head(8))
        return fine_tune(target, "process_reward_model", "prm", plans)

    done = dg.materialize([process_reward_model])
    [event] = done.asset_materializations_for_node("process_reward_model")
    numbers = event.metadata
    assert numbers["batches"].value == 6
    assert numbers["examples"].value == 24
    assert 0 <= numbers["validation_auc"].value <= 1
    curve = [record.data for record in numbers["loss_curve"].records]
    assert [record["step"] for record in curve] == [1, 2, 3, 4, 5, 6]
    assert curve[-1]["validation_loss"] == pytest.approx(numbers["validation_loss"].value, abs=1e-4)
    assert (target.models.path("process_reward_model") / "model.safetensors").is_file()
    assert not target.models.work("process_reward_model").exists()


@pytest.mark.slow
def test_a_policy_is_trained_in_two_processes_and_tells_its_figures(tmp_path: Path) -> None:
    policy = PpoSettings(
        kind="ppo",
        start="weak",
        reward_model="process_reward_model",
        iterations=1,
        problems_per_iteration=2,
        samples_per_problem=2,
        num_validation=2,
        num_processes=2,
    )
    model = ModelSettings(base="base-small")
    settings = Settings(
        datasets={"words": DatasetSettings(source="word_problems")},
        generators={"weak": model},
        completer=model,
        process_reward_model=model.model_copy(update={"scoring": ScoringSettings(format="tags")}),
        policies={"step_ppo": policy},
        sampling=SamplingSettings(max_tokens=20),
        engine=EngineSettings(dtype="float32"),
    )
    target = Deployment(settings, Home(tmp_path))
    rows = [
        (p.question, "words", "train", p.question, str(p.answer))
        for p in draw_problems(0, "train", 6)
    ]
    names = ["problem_id", "dataset", "split", "question", "gold_answer"]
    problems = pl.DataFrame(rows, schema=names, orient="row")

    @dg.asset
    def step_ppo(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        return train_by_reinforcement(context, target, "step_ppo", policy, problems)

    done = dg.materialize([step_ppo])
    [event] = done.asset_materializations_for_node("step_ppo")
    assert event.metadata["iterations"].value == 1
    assert [record.data["iteration"] for record in event.metadata["curve"].records] == [0, 1]
    assert (target.models.path("step_ppo") / "model.safetensors").is_file()
    assert not target.models.work("step_ppo").exists()


def test_a_long_curve_is_told_in_twenty_points() -> None:
    report = TrainingReport(10, 0, 45, losses=[float(step) for step in range(45)])
    report.evaluations = [{"step": 30, "loss": 0.5}, {"step": 45, "loss": 0.25}]
    records = [record.data for record in figures_of(report)["loss_curve"].records]
    assert [record["step"] for record in records][:2] == [3, 6]
    assert records[0]["loss"] == pytest.approx(1.0)
    found = {r["step"]: r["validation_loss"] for r in records if r["validation_loss"] is not None}
    assert found == {30: 0.5, 45: 0.25}
