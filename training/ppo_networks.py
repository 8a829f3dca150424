"""Hold the networks of PPO and GRPO: the policy, its reference and the value network.

With several processes each network is on all of them, whole or sharded (FSDP2), and all processes
must run it equally often.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedModel,
)

from resources.checkpoints.loading import AutoClass, load_weights
from shepherd.settings import PpoSettings, ReinforcementSettings
from training.episodes import EpisodeBatch
from training.scoring import Scorer
from training.sharding import expect_other_layers, is_sharding, shard_frozen


class ValueModel(nn.Module):
    """Predict the return still to come before each token.

    The network is separate from the policy and starts from the policy's weights. With one shared
    trunk the two losses would pull at the same weights, which small models do not bear.
    """

    def __init__(self, trunk: PreTrainedModel) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(trunk.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        # Where FSDP cuts the network.
        self._no_split_modules = trunk._no_split_modules

    def forward(self, batch: EpisodeBatch) -> torch.Tensor:
        """Return values, (episodes, longest response), float32."""
        hidden = self.trunk(input_ids=batch.ids, use_cache=False).last_hidden_state
        values: torch.Tensor = self.head(hidden)[..., 0].float().gather(1, batch.before)
        return values


@dataclass(frozen=True)
class PpoNetworks:
    """The networks of a run, on the devices of its processes, and the optimizers of two of them."""

    accelerator: Accelerator
    policy: nn.Module
    """A causal language model of transformers, in a wrapper if there are several processes."""
    reference: nn.Module
    """The policy as training started; frozen."""
    value: nn.Module | None
    """A :class:`ValueModel`; null for GRPO."""
    scorer: Scorer
    """The reward model; frozen."""
    optimizers: tuple[torch.optim.Optimizer, ...]
    """Of each of ``trained``, in this order."""

    @classmethod
    def of(
        cls,
        accelerator: Accelerator,
        start: str | Path,
        scorer: Scorer,
        settings: ReinforcementSettings,
    ) -> "PpoNetworks":
        """Start all networks from one checkpoint, without dropout, which would change ratios."""
        is_sharded = is_sharding(accelerator)
        if is_sharded:
            scorer.shard(accelerator)
        # The main process sends the values to the others.
        are_read = accelerator.is_local_main_process or not is_sharded

        def load(kind: AutoClass[PreTrainedModel]) -> PreTrainedModel:
            model = load_weights(kind, start, are_values_read=are_read, dtype=torch.float32)
            if settings.gradient_checkpointing:
                model.gradient_checkpointing_enable({"use_reentrant": False})
            # Checkpointing needs the mode of training; without dropout it computes the same.
            return without_dropout(model).train(settings.gradient_checkpointing)

        policy, policy_optimizer = _prepare(accelerator, load(AutoModelForCausalLM))
        optimizers: tuple[torch.optim.Optimizer, ...] = (policy_optimizer,)
        value = None
        if isinstance(settings, PpoSettings):
            value, value_optimizer = _prepare(accelerator, ValueModel(load(AutoModel)))
            optimizers = (policy_optimizer, value_optimizer)
        frozen = load(AutoModelForCausalLM).eval().requires_grad_(False)
        if is_sharded:
            # Its shards need no more than 16 bits, in which a GPU computes.
            dtype = torch.bfloat16 if accelerator.device.type == "cuda" else torch.float32
            reference = shard_frozen(accelerator, frozen.to(dtype))
        else:
            reference = frozen.to(accelerator.device)
        return cls(accelerator, policy, reference, value, scorer, optimizers)

    @property
    def trained(self) -> list[nn.Module]:
        """Return the networks that are trained: the policy, and the value network if any."""
        return [self.policy] if self.value is None else [self.policy, self.value]

    @property
    def unwrapped_policy(self) -> PreTrainedModel:
        """Return the policy as a model of transformers; its weights may be shards."""
        return cast(PreTrainedModel, self.accelerator.unwrap_model(self.policy))

    @property
    def is_sharded(self) -> bool:
        """Return whether each process holds a part of the weights only (FSDP)."""
        return is_sharding(self.accelerator)

    @contextmanager
    def exchanging(self, exchanges: bool) -> Iterator[None]:
        """Let the processes exchange gradients in the backward passes within, or not yet."""
        with ExitStack() as stack:
            for module in () if exchanges else self.trained:
                stack.enter_context(self.accelerator.no_sync(module))
            yield


def _prepare(
    accelerator: Accelerator, module: nn.Module
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Distribute a network over the processes, with an optimizer of its own."""
    if is_sharding(accelerator):
        expect_other_layers(accelerator)
    optimizer = torch.optim.AdamW(module.parameters(), weight_decay=0.0)
    prepared: tuple[nn.Module, torch.optim.Optimizer] = accelerator.prepare(module, optimizer)
    return prepared


def without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    """Turn all dropout of a model off, in every mode."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    return model


def autocast(device: torch.device) -> torch.autocast:
    """Return bfloat16 arithmetic on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def log_probs_of(
    model: nn.Module, batch: EpisodeBatch, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log probability of each response token and the entropy of its distribution.

    Both are (episodes, longest response), in nats, at the temperature of the draws.
    """
    with autocast(batch.ids.device):
        logits = model(input_ids=batch.ids, use_cache=False).logits
    width = logits.shape[-1]
    predicting = logits.gather(1, batch.before[..., None].expand(-1, -1, width)).float()
    log_probs = F.log_softmax(predicting / temperature, dim=-1)
    entropies = -(log_probs.exp() * log_probs).sum(-1)
    return log_probs.gather(2, batch.tokens[..., None])[..., 0], entropies


def drawing_dtype(device: torch.device) -> torch.dtype:
    """Return the precision in which an engine gets the policy: that of the trainer.

    Responses drawn from rounded weights are less likely under the exact weights, much less at
    high learning rates. An engine of another ``dtype`` rounds them nevertheless: on a CPU it
    should be float32.
    """
    return torch.bfloat16 if device.type == "cuda" else torch.float32
