"""PPO on a tiny random model: it earns more, measures what it does, and survives SIGKILL."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from resources.engines import open_engine
from resources.sampling import Grader
from shepherd.identity import content_id
from shepherd.requests import Engine
from shepherd.settings import EngineSettings, PpoSettings
from shepherd.word_problems import draw_problems
from training.draws import Sampler
from training.ppo import train_ppo
from training.scoring import Kind, Scorer

SMALL = PpoSettings(
    kind="ppo",
    start="generator",
    reward_model="process_reward_model",
    iterations=3,
    problems_per_iteration=4,
    samples_per_problem=2,
    epochs=2,
    batch_size=4,
    max_length=192,
    learning_rate=1e-3,
    value_learning_rate=1e-3,
    num_validation=2,
)


def grade(golds: Sequence[str], texts: Sequence[str], reasons: Sequence[str]) -> list[bool]:
    return [found.is_correct for found in Grader().grade(golds, texts, reasons)]


def train(
    base: Path, folder: Path, settings: PpoSettings = SMALL, *, kill_at: int | None = None
) -> list[dict[str, float]]:
    """Train in ``folder``; end this process by SIGKILL while iteration ``kill_at`` draws."""
    openings = iter(range(100))

    def opened(checkpoint: Path) -> Engine:
        if next(openings) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return open_engine(EngineSettings(batch_size=8), checkpoint)

    kind: Kind = "process" if settings.reward_model == "process_reward_model" else "outcome"
    problems = pl.DataFrame(
        [
            (content_id(problem.question), problem.question, str(problem.answer))
            for problem in draw_problems(0, "train", 8)
        ],
        schema=["problem_id", "question", "gold_answer"],
        orient="row",
    )
    torch.set_num_threads(1)
    return train_ppo(
        base,
        problems,
        folder / "out",
        settings,
        template="plain",
        scorer=Scorer(base, kind=kind, template="plain", max_length=192),
        sampler=Sampler(opened, max_tokens=12, seed=5),
        grade=grade,
        work=folder / "work",
        tell=lambda row: None,
    )


def timeless(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_killed_run_ends_in_the_same_weights_and_metrics(base: Path, tmp_path: Path) -> None:
    undisturbed = train(base, tmp_path / "undisturbed")
    script = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; import test_ppo;"
        f"test_ppo.train(Path({str(base)!r}), Path({str(tmp_path / 'killed')!r}), kill_at=2)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, check=False, timeout=300
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    kept = (tmp_path / "killed" / "work" / "metrics.jsonl").read_text().splitlines()
    assert timeless([json.loads(line) for line in kept]) == timeless(undisturbed[:2])
    resumed = train(base, tmp_path / "killed")
    assert timeless(resumed) == timeless(undisturbed)
    weights, expected = (
        load_file(tmp_path / name / "out" / "model.safetensors")
        for name in ("killed", "undisturbed")
    )
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_state_of_other_settings_is_not_gone_on_from(base: Path, tmp_path: Path) -> None:
    once = SMALL.model_copy(update={"iterations": 1})
    assert len(train(base, tmp_path, once)) == 2
    other = train(base, tmp_path, once.model_copy(update={"kl_coefficient": 0.5}))
    assert [row["iteration"] for row in other] == [0, 1]


@pytest.mark.parametrize("reward_model", ["outcome_reward_model", "process_reward_model"])
def test_a_policy_learns_to_earn_more(base: Path, tmp_path: Path, reward_model: str) -> None:
    settings = SMALL.model_copy(
        update={
            "reward_model": reward_model,
            "iterations": 12,
            "problems_per_iteration": 16,
            "batch_size": 16,
            "learning_rate": 1e-2,
            "min_learning_rate": 1e-3,
            "kl_coefficient": 0.0,
        }
    )
    rows = train(base, tmp_path, settings)
    assert rows[-1]["reward"] > rows[0]["reward"]
    assert rows[0]["kl"] == 0.0 < rows[-1]["kl"]
    assert "policy_loss" not in rows[-1]
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_at_least_one_problem_is_trained_on(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="8 are held out: lower num_validation"):
        train(base, tmp_path, SMALL.model_copy(update={"num_validation": 8}))
