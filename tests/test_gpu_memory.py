"""The paper's profiles: its models and rates, and that each fits the GPUs that a profile names."""

from pathlib import Path

import pytest

from assets.deployment import models_of
from cli.app import main
from cli.gpu_memory import published_models, uses_of
from resources.profiles import load_settings
from resources.storage.model_store import BASE_MODELS, ModelStore, architecture_of
from shepherd.architectures import ARCHITECTURES
from shepherd.settings import (
    GpuSettings,
    ModelSettings,
    ScoringSettings,
    Settings,
    TrainingSettings,
)

PAPER = ("paper-gsm8k", "paper-math")
RATES = {
    "meta-llama/Llama-2-7b-hf": 2e-5,
    "meta-llama/Llama-2-13b-hf": 2e-5,
    "meta-llama/Llama-2-70b-hf": 6e-6,
    "EleutherAI/llemma_7b": 2e-5,
    "EleutherAI/llemma_34b": 1e-5,
    "mistralai/Mistral-7B-v0.1": 5e-6,
    "deepseek-ai/deepseek-llm-67b-base": 6e-6,
}


@pytest.mark.parametrize("name", PAPER)
def test_rates_and_epochs_are_the_papers(name: str) -> None:
    settings = load_settings(name)
    models = models_of(settings)
    assert {model.base for model in models.values()} == set(ARCHITECTURES) == set(RATES)
    for role, model in models.items():
        assert model.training is not None
        if role.endswith("reward_model"):
            expected = (1e-6, 1)
            assert model.training.max_length == 512
        else:
            expected = (RATES[model.base], 3 if model.datasets == ("metamath",) else 1)
        assert (model.training.learning_rate, model.training.epochs) == expected, role
    assert settings.generators_of("train") == ["llama2-13b-pool", "llama2-7b-pool"]
    sampling = settings.sampling
    assert (sampling.samples_per_problem, settings.annotation.max_rollouts) == (15, 8)
    assert sampling.num_candidates == 256


@pytest.mark.parametrize("name", PAPER)
def test_every_model_fits_the_gpus_that_its_profile_names(name: str, tmp_path: Path) -> None:
    settings = load_settings(name)
    uses = list(uses_of(settings, ModelStore(tmp_path)))
    assert [use for use in uses if not use.fits] == []
    assert {(use.model, use.use) for use in uses} == {
        (role, use)
        for role in models_of(settings)
        for use in ("training", "scoring" if role.endswith("reward_model") else "drawing")
    }


def with_gpus(settings: Settings, **fields: object) -> Settings:
    assert settings.gpus is not None
    return settings.model_copy(update={"gpus": settings.gpus.model_copy(update=fields)})


def test_a_model_that_does_not_fit_is_marked(tmp_path: Path) -> None:
    settings = load_settings("paper-gsm8k")
    small = with_gpus(settings, memory_gib=79.0)
    failing = {
        (use.base.split("/")[1], use.use)
        for use in uses_of(small, ModelStore(tmp_path))
        if not use.fits
    }
    assert failing == {
        ("Llama-2-70b-hf", "training"),
        ("Llama-2-70b-hf", "scoring"),
        ("llemma_34b", "training"),
        ("deepseek-llm-67b-base", "training"),
    }
    few = with_gpus(settings, count=4)
    assert not any(use.fits for use in uses_of(few, ModelStore(tmp_path)) if use.gpus == 8)


def test_copies_and_vllm_take_gpus_for_scoring(tmp_path: Path) -> None:
    settings = load_settings("paper-gsm8k")
    model = settings.process_reward_model
    assert model is not None
    whole = {"num_copies": 4}
    split = {"engine": "vllm", "vllm": {"tensor_parallel_size": 4}}
    gib = []
    for fields in ({}, whole, split):
        scoring = ScoringSettings.model_validate(fields)
        changed = settings.model_copy(
            update={"process_reward_model": model.model_copy(update={"scoring": scoring})}
        )
        [use] = [
            use
            for use in uses_of(changed, ModelStore(tmp_path))
            if (use.model, use.use) == ("process_reward_model", "scoring")
        ]
        assert use.gpus == (4 if fields else 1)
        assert use.fits
        few = with_gpus(changed, count=2)
        assert bool(fields) != all(
            use.fits
            for use in uses_of(few, ModelStore(tmp_path))
            if (use.model, use.use) == ("process_reward_model", "scoring")
        )
        gib.append(use.gib)
    assert gib[0] == gib[1] > 2 * gib[2]


def test_the_command_shows_memory_before_it_asks_for_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path))
    monkeypatch.setenv("GSM8K_DIR", str(tmp_path / "nowhere"))
    assert main(["estimate", "--profile", "paper-gsm8k"]) == 2
    captured = capsys.readouterr()
    assert "8 x B200" in captured.out
    assert "process_reward_model" in captured.out
    [line] = captured.err.splitlines()
    assert "nowhere" in line


def test_dimensions_of_a_base(tmp_path: Path) -> None:
    shipped = architecture_of(BASE_MODELS / "base-small")
    assert shipped is not None
    assert shipped.num_parameters < 1e7
    published = architecture_of("mistralai/Mistral-7B-v0.1")
    assert published == ARCHITECTURES["mistralai/Mistral-7B-v0.1"]
    assert architecture_of("owner/unknown") is None
    assert architecture_of(tmp_path) is None


def test_a_model_of_unknown_dimensions_is_left_out(tmp_path: Path) -> None:
    gpus = GpuSettings(name="one", count=1, memory_gib=8)
    settings = load_settings("gsm8k").model_copy(update={"gpus": gpus})
    assert {use.model for use in uses_of(settings, ModelStore(tmp_path))} == {
        "outcome_reward_model",
        "process_reward_model",
    }
    unknown = ModelSettings(base="owner/unknown", training=TrainingSettings())
    both = {"outcome_reward_model": unknown, "process_reward_model": unknown}
    assert list(uses_of(settings.model_copy(update=both), ModelStore(tmp_path))) == []


def test_the_table_in_the_docs_is_what_the_command_prints() -> None:
    lines = (Path(__file__).parent.parent / "docs" / "models.md").read_text().splitlines()
    for row in published_models().iter_rows():
        cells = [cell if isinstance(cell, str) else f"{cell:,.1f}" for cell in row]
        assert f"| {' | '.join(cells)} |" in lines
