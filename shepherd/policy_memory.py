"""Memory of PPO and GRPO on each GPU, at its two worst moments.

Exact, and tested against real tensors: parameters, gradients, moments, the frozen networks and the
engine's weights. Taken from fine-tuning, and not measured on a GPU: activations, and the buffers
that gather sharded layers (:mod:`shepherd.memory`), and what an engine keeps while it sleeps.
"""

from dataclasses import dataclass

from shepherd.architectures import Architecture
from shepherd.memory import (
    HALF,
    OVERHEAD,
    SCORED_TOKENS,
    SINGLE,
    USABLE,
    inference_memory,
    scoring_bytes,
    training_memory,
)
from shepherd.settings import PpoSettings, ReinforcementSettings, TrainingSettings

ENTROPY = 2 * SINGLE
"""Bytes of a logit that a pass holds beside those of fine-tuning: the probability and its product
with its logarithm."""


@dataclass(frozen=True)
class PolicyMemory:
    """Bytes on each GPU. The optimizers hold no gradients while the engine draws."""

    policy: int
    """Parameters and moments of the policy."""
    value: int
    """The same of the value network; 0 for GRPO."""
    frozen: int
    """Reference and reward model."""
    gradients: int
    """Of policy and value network, while they learn."""
    learning: int
    """Gathered layers and activations of a pass."""
    engine: int
    """What the engine takes beside the networks: all that it may, with vLLM."""
    asleep: int
    """What the engine keeps while the networks learn: CUDA's context of vLLM's own process."""

    @property
    def total(self) -> int:
        """Bytes at the worse of both moments, and the device's overhead."""
        moment = max(self.gradients + self.learning + self.asleep, self.engine)
        return self.policy + self.value + self.frozen + moment + OVERHEAD

    def fits(self, gpu_bytes: float) -> bool:
        """Return whether it fits on a GPU."""
        return self.total <= USABLE * gpu_bytes


def policy_memory(
    policy: Architecture,
    judge: Architecture,
    settings: ReinforcementSettings,
    *,
    engine_bytes: int | None = None,
) -> PolicyMemory:
    """Return the memory of PPO or GRPO on each of ``settings.num_processes`` GPUs.

    - Each parameter of policy and value network takes 12 bytes, itself and two moments in float32,
      and 4 of its gradient while it learns. The value network has a head in place of the policy's.
    - The reference is in 16 bits if it is sharded, else in float32.
    - The reward model is in 16 bits, and sharded with the rest.
    - The engine holds a whole copy of the policy in 16 bits, and its cache.

    Args:
        policy: dimensions of the policy.
        judge: dimensions of the reward model.
        settings: number of processes, and tokens in memory at a time.
        engine_bytes: what vLLM takes in all; None: weights and activations of the engine
            ``transformers``, which keeps nothing while the networks learn.
    """
    parts = settings.num_processes if settings.sharded else 1
    parameters = -(-policy.num_parameters // parts)
    of_value = 0
    if isinstance(settings, PpoSettings):
        of_value = -(-value_parameters(policy) // parts)
    training = TrainingSettings(
        batch_size=2 * settings.num_processes,
        max_length=settings.batch_tokens,
        tokens_per_pass=settings.batch_tokens,
        num_processes=settings.num_processes,
        sharded=settings.sharded,
        gradient_checkpointing=settings.gradient_checkpointing,
    )
    needed = training_memory(policy, training)
    entropies = settings.batch_tokens * policy.vocab_size * ENTROPY
    return PolicyMemory(
        policy=3 * SINGLE * parameters,
        value=3 * SINGLE * of_value,
        frozen=(HALF if settings.sharded else SINGLE) * parameters
        + HALF * -(-judge.num_parameters // parts),
        gradients=SINGLE * (parameters + of_value),
        learning=max(
            needed.working + needed.activations + entropies,
            scoring_bytes(judge, step_tokens=SCORED_TOKENS)
            - HALF * judge.num_parameters
            - OVERHEAD,
        ),
        engine=engine_bytes or inference_memory(policy, 1).fixed - OVERHEAD,
        asleep=OVERHEAD if engine_bytes else 0,
    )


def value_parameters(policy: Architecture) -> int:
    """Return the parameters of a value network: the policy's trunk, and a head with one output."""
    head = 0 if policy.tie_word_embeddings else policy.vocab_size * policy.hidden_size
    return policy.num_parameters - head + policy.hidden_size + 1
