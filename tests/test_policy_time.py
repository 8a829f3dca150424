"""The tokens and hours of policies, by hand."""

from dataclasses import asdict
from pathlib import Path

import pytest
from architectures import SMALL

from cli.app import main
from cli.policy_estimate import estimate_policies
from cli.problem_sizes import sum_of, train_sizes
from resources.profiles import load_settings
from resources.storage.model_store import ModelStore
from shepherd.architectures import Architecture
from shepherd.policy_memory import value_parameters
from shepherd.policy_time import (
    PACKED_SPEED,
    PADDED_SPEED,
    Lengths,
    reinforcement_hours,
    reinforcement_work,
    rft_hours,
    rft_work,
)
from shepherd.settings import GrpoSettings, PpoSettings, RftSettings, TrainingSettings
from shepherd.text_sizes import PUBLISHED_SIZES

LARGER = Architecture(**asdict(SMALL) | {"num_hidden_layers": 3})
LENGTHS = Lengths(prompt=20, response=30)
FIELDS = {
    "start": "g",
    "reward_model": "process_reward_model",
    "iterations": 10,
    "problems_per_iteration": 6,
    "samples_per_problem": 5,
    "batch_size": 20,
    "epochs": 2,
    "num_validation": 3,
    "num_processes": 4,
}
PPO = PpoSettings.model_validate(FIELDS | {"kind": "ppo"})
GRPO = GrpoSettings.model_validate(FIELDS | {"kind": "grpo", "gradient_checkpointing": True})
OPERATIONS = 6 * 1.1e9
"""Of a token in training of the model whose speed was measured."""


def test_lengths_are_those_of_an_average_problem_within_the_limit() -> None:
    gsm8k = PUBLISHED_SIZES["gsm8k", "published", "train"]
    lengths = Lengths.of(gsm8k, template_characters=35, max_tokens=512)
    assert lengths.prompt == pytest.approx((1_752_474 / 7473 + 35) / 3.5)
    assert lengths.response == pytest.approx(2_148_453 / 7473 / 3.5)
    assert Lengths.of(gsm8k, 35, max_tokens=40).response == 40
    both = sum_of([gsm8k, gsm8k.at_most(473)])
    assert both.problems == 7946
    assert asdict(Lengths.of(both, 35, 512)) == pytest.approx(asdict(lengths))


def test_the_work_of_ppo_and_grpo() -> None:
    for settings in (PPO, GRPO):
        work = reinforcement_work(settings, LENGTHS)
        # Eleven iterations of 30 sampled and 3 greedy responses; the last one learns nothing.
        assert work.responses == 11 * 33
        assert work.drawn == 11 * 33 * 30
        assert work.scored == 11 * 30 * 50
        assert work.learned == 10 * 2 * 30 * 50
        # Two passes over 30 responses, 20 and 10 a step.
        assert work.optimizer_steps == 10 * 2 * 2


def test_the_hours_of_ppo_and_grpo() -> None:
    policy, judge = SMALL.num_parameters, LARGER.num_parameters
    value = value_parameters(SMALL)
    rate = 4 * PADDED_SPEED * OPERATIONS * 3600
    work = reinforcement_work(PPO, LENGTHS)
    hours = reinforcement_hours(work, PPO, SMALL, LARGER, tokens_per_second=2.0)
    assert hours.drawing == pytest.approx(11 * 33 * 30 / 2 / 3600)
    assert hours.scoring == pytest.approx(16_500 * 2 * (2 * policy + value + judge) / rate)
    assert hours.learning == pytest.approx(30_000 * 6 * (policy + value) / rate)
    assert hours.total == pytest.approx(hours.drawing + hours.scoring + hours.learning)
    groups = reinforcement_hours(work, GRPO, SMALL, LARGER, tokens_per_second=2.0)
    assert groups.scoring == pytest.approx(16_500 * 2 * (2 * policy + judge) / rate)
    # Without a value network, and each forward pass twice.
    assert groups.learning == pytest.approx(30_000 * 8 * policy / rate)


@pytest.mark.parametrize(("sharded", "speed"), [(False, PACKED_SPEED), (True, PADDED_SPEED)])
def test_rft_learns_gold_solutions_and_all_draws(sharded: bool, speed: int) -> None:
    training = TrainingSettings(epochs=3, batch_size=10, num_processes=2, sharded=sharded)
    settings = RftSettings(kind="rft", start="g", samples_per_problem=8, training=training)
    work = rft_work(settings, num_problems=100, num_gold=40, lengths=LENGTHS)
    assert (work.responses, work.optimizer_steps) == (800, 3 * 84)
    assert (work.drawn, work.scored, work.learned) == (800 * 30, 0, 3 * 840 * 50)
    hours = rft_hours(work, settings, SMALL, tokens_per_second=2.0)
    rate = 2 * speed * OPERATIONS * 3600
    assert hours.drawing == pytest.approx(24_000 / 2 / 3600)
    assert hours.learning == pytest.approx(126_000 * 6 * SMALL.num_parameters / rate)


def test_the_paper_s_policies_without_the_files_of_metamath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GSM8K_DIR", "METAMATH"):
        monkeypatch.delenv(name, raising=False)
    paper, store = load_settings("paper-policies"), ModelStore(tmp_path)
    sizes = train_sizes(paper)
    assert sizes.keys() == {"gsm8k"}
    found = {one.policy: one for one in estimate_policies(paper, store, sizes, 1000.0)}
    # How much RFT draws depends on the number of problems.
    assert found.keys() == {name for name, policy in paper.policies.items() if policy.kind != "rft"}
    given = found["mistral_7b_step_ppo"]
    assert given.work.responses == 401 * (1024 + 50)
    assert given.hours is not None
    assert given.hours.drawing == pytest.approx(given.work.drawn / 1000 / 3600)
    [assumed, *_] = estimate_policies(paper, store, sizes, None)
    assert assumed.hours is not None
    # An engine on each of eight GPUs.
    speed = 8 * 15_588 * 1.1e9 / 6.738e9
    assert assumed.hours.drawing == pytest.approx(assumed.work.drawn / speed / 3600, rel=1e-3)


def test_the_command_prints_every_policy_and_its_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("METAMATH", raising=False)
    assert main(["estimate", "--profile", "paper-policies", "--home", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "hours_learning" in out
    assert "null" not in out
    assert "Not estimated: RFT, as the size of metamath is not known" in out
    assert main(["estimate", "--profile", "study", "--home", str(tmp_path)]) == 0
    assert {"rft", "orm_ppo", "step_ppo", "step_grpo"} <= set(capsys.readouterr().out.split())
