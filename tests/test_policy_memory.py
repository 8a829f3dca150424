"""The memory of PPO and GRPO: real tensors in small, and the paper's policies on eight GPUs."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from architectures import SMALL
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from cli.gpu_memory import uses_of
from resources.profiles import load_settings
from resources.storage.model_store import ModelStore
from shepherd.architectures import ARCHITECTURES, Architecture
from shepherd.memory import GIB, OVERHEAD, inference_memory
from shepherd.policy_memory import policy_memory, value_parameters
from shepherd.settings import GrpoSettings, PpoSettings, ReinforcementSettings
from training.ppo_networks import ValueModel

FIELDS = {"start": "g", "reward_model": "process_reward_model", "batch_tokens": 256}
PPO = PpoSettings.model_validate(FIELDS | {"kind": "ppo"})
GRPO = GrpoSettings.model_validate(FIELDS | {"kind": "grpo"})
PAPER = load_settings("paper-policies")


def held_bytes(module: nn.Module) -> tuple[int, int]:
    """Return the bytes of parameters and moments after a step of AdamW, and of gradients."""
    optimizer = torch.optim.AdamW(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moments = sum(t.nbytes for s in optimizer.state.values() for t in s.values() if t.dim())
    parameters = sum(parameter.nbytes for parameter in module.parameters())
    return parameters + moments, parameters


@pytest.mark.parametrize("is_tied", [False, True])
def test_what_the_networks_hold_is_what_real_tensors_hold(is_tied: bool) -> None:
    architecture = Architecture(**asdict(SMALL) | {"tie_word_embeddings": is_tied})
    config = AutoConfig.for_model("llama", **asdict(architecture))
    policy = AutoModelForCausalLM.from_config(config)
    value = ValueModel(AutoModel.from_config(config))
    needed = policy_memory(architecture, architecture, PPO)
    assert value_parameters(architecture) == sum(p.numel() for p in value.parameters())
    of_policy, policy_gradients = held_bytes(policy)
    of_value, value_gradients = held_bytes(value)
    assert (needed.policy, needed.value) == (of_policy, of_value)
    assert needed.gradients == policy_gradients + value_gradients
    # The reference in float32, the reward model in 16 bits.
    assert needed.frozen == policy_gradients + policy_gradients // 2
    groups = policy_memory(architecture, architecture, GRPO)
    assert (groups.policy, groups.value, groups.gradients) == (of_policy, 0, policy_gradients)


def test_shards_share_all_but_the_engine() -> None:
    shards: ReinforcementSettings = PPO.model_copy(update={"num_processes": 8, "sharded": True})
    whole, shard = policy_memory(SMALL, SMALL, PPO), policy_memory(SMALL, SMALL, shards)
    assert shard.policy == pytest.approx(whole.policy / 8, abs=12)
    assert shard.value == pytest.approx(whole.value / 8, abs=12)
    # In 16 bits, of which the whole reference has 32.
    assert shard.frozen == pytest.approx(4 * SMALL.num_parameters / 8, abs=4)
    assert shard.engine == whole.engine
    assert whole.engine >= inference_memory(SMALL, 1).weights


def test_the_larger_of_drawing_and_learning_counts() -> None:
    drawing = policy_memory(SMALL, SMALL, PPO, engine_bytes=4 * GIB)
    learning = policy_memory(SMALL, SMALL, PPO, engine_bytes=1)
    of_learning = learning.gradients + learning.learning + learning.asleep
    assert drawing.total - learning.total == 4 * GIB - of_learning
    # vLLM's process has a context on the device while it sleeps.
    assert learning.asleep == OVERHEAD
    assert policy_memory(SMALL, SMALL, PPO).asleep == 0


def test_the_paper_s_rates_are_those_published() -> None:
    rates = {
        name: (policy.learning_rate, policy.min_learning_rate, policy.kl_coefficient)
        for name, policy in PAPER.policies.items()
        if isinstance(policy, PpoSettings)
    }
    assert rates == {
        **dict.fromkeys(("llama2_7b_orm_ppo", "llama2_7b_step_ppo"), (4e-7, 1e-8, 0.04)),
        **dict.fromkeys(("mistral_7b_orm_ppo", "mistral_7b_step_ppo"), (1e-7, 1e-8, 0.04)),
    }
    starts = {PAPER.generators[policy.start].base for policy in PAPER.policies.values()}
    assert starts == {"meta-llama/Llama-2-7b-hf", "mistralai/Mistral-7B-v0.1"}
    for judge in (PAPER.outcome_reward_model, PAPER.process_reward_model):
        assert judge is not None
        assert judge.base == "mistralai/Mistral-7B-v0.1"
    assert all(policy.candidates for policy in PAPER.policies.values())
    assert {"llama2_7b", "mistral_7b"} <= set(PAPER.candidate_generators)


def test_every_model_and_policy_fits_eight_gpus_of_80_gb(tmp_path: Path) -> None:
    uses = list(uses_of(PAPER, ModelStore(tmp_path)))
    assert [use for use in uses if not use.fits] == []
    policies = {use.model: use for use in uses if use.model in PAPER.policies}
    assert policies.keys() == PAPER.policies.keys()
    step_ppo = policies["mistral_7b_step_ppo"]
    assert step_ppo.gpus == 8
    assert policies["mistral_7b_step_grpo"].gib < step_ppo.gib < 79


def test_one_process_cannot_hold_a_policy_of_7b() -> None:
    mistral = ARCHITECTURES["mistralai/Mistral-7B-v0.1"]
    assert not policy_memory(mistral, mistral, PPO).fits(79 * GIB)
