"""PPO and GRPO on a small model: it earns more, measures what it does, and survives SIGKILL."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from resources.engines import open_reloadable_engine
from resources.sampling.completion_grading import CompletionGrader
from resources.storage.model_store import BASE_MODELS
from shepherd.identity import content_id
from shepherd.requests import Engine
from shepherd.settings import EngineSettings, GrpoSettings, PpoSettings, ReinforcementSettings
from shepherd.splitting import Method
from shepherd.word_problems import draw_problems
from training.draws import PolicySampler, Response, response_metrics
from training.episodes import Question
from training.ppo import PpoRun, train_ppo
from training.scoring import Kind, Scorer


@pytest.fixture(scope="session")
def base() -> Path:
    """A model that writes words as its tokenizer does, as a random one does not."""
    return BASE_MODELS / "base-small"


SMALL = PpoSettings(
    kind="ppo",
    start="generator",
    reward_model="process_reward_model",
    iterations=3,
    problems_per_iteration=4,
    samples_per_problem=2,
    epochs=2,
    batch_size=4,
    learning_rate=1e-3,
    value_learning_rate=1e-3,
    warmup_share=0.0,
    num_validation=2,
)
SMALL_GROUPS = GrpoSettings(
    kind="grpo",
    start="generator",
    reward_model="process_reward_model",
    iterations=3,
    problems_per_iteration=2,
    samples_per_problem=4,
    epochs=2,
    batch_size=4,
    learning_rate=1e-3,
    num_validation=2,
)


@dataclass(frozen=True)
class KilledSampler(PolicySampler):
    """Ends this process by SIGKILL while iteration ``kill_at`` draws."""

    kill_at: int | None = None

    def draw(
        self,
        engine: Engine,
        questions: Sequence[Question],
        held_out: Sequence[Question],
        settings: ReinforcementSettings,
        iteration: int,
    ) -> tuple[list[Response], list[Response]]:
        if iteration == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(engine, questions, held_out, settings, iteration)


def train(
    base: Path,
    folder: Path,
    settings: ReinforcementSettings = SMALL,
    *,
    kill_at: int | None = None,
    tell: Callable[[dict[str, float]], None] = lambda _: None,
    judge: Path | None = None,
    splitting: Method = "auto",
    max_tokens: int = 12,
    seed: int = 5,
) -> list[dict[str, float]]:
    """Train in ``folder``; end this process by SIGKILL while iteration ``kill_at`` draws."""
    draw = partial(open_reloadable_engine, EngineSettings(batch_size=64, dtype="float32"))
    kind: Kind = "process" if settings.reward_model == "process_reward_model" else "outcome"
    # Two datasets hold the same questions.
    problems = pl.DataFrame(
        [
            (content_id(dataset, drawn.question), drawn.question, str(drawn.answer), splitting)
            for drawn in draw_problems(0, "train", 8)
            for dataset in ("one", "another")
        ],
        schema=["problem_id", "question", "gold_answer", "splitting"],
        orient="row",
    )
    torch.set_num_threads(1)
    return train_ppo(
        PpoRun(
            base,
            problems,
            folder / "out",
            settings,
            template="plain",
            scorer=Scorer(judge or base, kind=kind, template="plain", max_length=192),
            sampler=KilledSampler(draw, max_tokens=max_tokens, seed=seed, kill_at=kill_at),
            grade=CompletionGrader().are_correct,
            work=folder / "work",
            on_iteration=tell,
        )
    )


def timeless(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["SMALL", "SMALL_GROUPS"])
def test_a_killed_run_ends_in_the_same_weights_and_metrics(
    base: Path, tmp_path: Path, settings: str
) -> None:
    undisturbed = train(base, tmp_path / "undisturbed", globals()[settings])
    script = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; import test_ppo as t;"
        f"t.train(Path({str(base)!r}), Path({str(tmp_path / 'killed')!r}), t.{settings}, kill_at=2)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, check=False, timeout=1_800
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    kept = (tmp_path / "killed" / "work" / "metrics.jsonl").read_text().splitlines()
    assert timeless([json.loads(line) for line in kept]) == timeless(undisturbed[:2])
    resumed = train(base, tmp_path / "killed", globals()[settings])
    assert timeless(resumed) == timeless(undisturbed)
    lines = (tmp_path / "killed" / "out" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == resumed
    assert_equal_weights(tmp_path / "killed", tmp_path / "undisturbed")


def assert_equal_weights(one: Path, other: Path) -> None:
    weights, expected = (load_file(run / "out" / "model.safetensors") for run in (one, other))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_groups_are_learned_from_and_a_stopped_run_goes_on_exactly(
    base: Path, tmp_path: Path
) -> None:
    settings = SMALL_GROUPS.model_copy(update={"iterations": 1, "epochs": 1})
    rows = train(base, tmp_path / "whole", settings, max_tokens=40)
    assert rows[0]["kl"] == 0.0 < rows[1]["kl"]
    assert {"policy_loss", "kl_loss"} <= rows[0].keys()
    assert not {"value_loss", "explained_variance"} & rows[0].keys()
    with pytest.raises(StopError):
        train(base, tmp_path / "stopped", settings, tell=stop, max_tokens=40)
    resumed = train(base, tmp_path / "stopped", settings, max_tokens=40)
    assert timeless(resumed) == timeless(rows)
    assert_equal_weights(tmp_path / "stopped", tmp_path / "whole")


class StopError(Exception):
    """Ends a run after its first iteration."""


def stop(_: object) -> None:
    raise StopError


ONE_ITERATION = SMALL.model_copy(update={"iterations": 1})


@pytest.fixture(scope="module")
def stopped(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of ``ONE_ITERATION`` that ended after its first row of metrics."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(StopError):
        train(base, folder, ONE_ITERATION, tell=stop)
    return folder


@pytest.fixture
def stopped_run(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the stopped run, to go on with."""
    return shutil.copytree(stopped, tmp_path / "run")


@pytest.mark.parametrize("change", ["settings", "start", "judge", "splitting"])
def test_the_state_of_another_run_is_not_gone_on_from(
    base: Path,
    stopped_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
) -> None:
    other = Path(shutil.copytree(base, tmp_path / "other", copy_function=shutil.copy))
    weights = load_file(other / "model.safetensors")
    weights["model.norm.weight"] *= 1.5
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    changes = {"kl_coefficient": 0.5} if change == "settings" else {}
    rows = train(
        other if change == "start" else base,
        stopped_run,
        ONE_ITERATION.model_copy(update=changes),
        judge=other if change == "judge" else base,
        splitting="newline" if change == "splitting" else "auto",
    )
    assert [row["iteration"] for row in rows] == [0, 1]
    assert "is of other data, settings or weights: training starts anew" in capsys.readouterr().out


def test_copies_of_the_start_and_the_reward_model_resume_a_run(
    base: Path, stopped_run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy", copy_function=shutil.copy))
    resumed: list[dict[str, float]] = []
    train(copy, stopped_run, ONE_ITERATION, judge=copy, tell=resumed.append)
    assert [row["iteration"] for row in resumed] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("reward_model", ["outcome_reward_model", "process_reward_model"])
@pytest.mark.parametrize("start", [SMALL, SMALL_GROUPS], ids=["ppo", "grpo"])
def test_a_policy_learns_to_earn_more(
    base: Path, tmp_path: Path, start: ReinforcementSettings, reward_model: str
) -> None:
    settings = start.model_copy(
        update={
            "reward_model": reward_model,
            "iterations": 8,
            "problems_per_iteration": 16,
            "batch_size": 16,
            "learning_rate": 5e-4,
            "min_learning_rate": 5e-4,
            "kl_coefficient": 0.0,
        }
    )
    rows = train(base, tmp_path, settings, max_tokens=40)
    # Some responses are cut and earn nothing: to end in time is what it learns first.
    rewards = [row["reward"] for row in rows]
    assert sum(rewards[-3:]) > 1.2 * sum(rewards[:3])
    assert rows[0]["kl"] == 0.0 < rows[-1]["kl"]
    assert "policy_loss" not in rows[-1]
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_a_run_goes_on_with_other_batches_held_at_a_time(base: Path, stopped_run: Path) -> None:
    settings = ONE_ITERATION.model_copy(update={"batch_tokens": 256})
    reported: list[dict[str, float]] = []
    train(base, stopped_run, settings, tell=reported.append)
    assert [row["iteration"] for row in reported] == [1]


def test_an_iteration_without_a_response_is_told() -> None:
    with pytest.raises(ValueError, match=r"no prompt of the held-out .* raise num_validation"):
        response_metrics([], CompletionGrader().are_correct)


def test_at_least_one_problem_is_trained_on(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of 8 train questions 8 are held out: lower num_val"):
        train(base, tmp_path, SMALL.model_copy(update={"num_validation": 8}))


def test_grades_know_equal_numbers_and_unfinished_texts() -> None:
    texts = ["The answer is: 7.0", "The answer is: 8", "The answer is: 7", "none"]
    reasons = ["stop", "stop", "length", "stop"]
    assert CompletionGrader().are_correct(["7"] * 4, texts, reasons) == [True, False, False, False]
