"""Hold the networks of PPO and GRPO: the policy, its reference and the value network."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from resources.checkpoints.loading import load_weights
from resources.storage.atomic import replacing_folder
from training.episodes import EpisodeBatch
from training.scoring import Scorer


class ValueModel(nn.Module):
    """Predict the return still to come before each token.

    The network is separate from the policy and starts from the policy's weights. With one shared
    trunk the two losses would pull at the same weights, which small models do not bear.
    """

    def __init__(self, start: str | Path) -> None:
        super().__init__()
        self.trunk = load_weights(AutoModel, start, dtype=torch.float32)
        self.head = nn.Linear(self.trunk.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: EpisodeBatch) -> torch.Tensor:
        """Return values, (episodes, longest response), float32."""
        hidden = self.trunk(input_ids=batch.ids, use_cache=False).last_hidden_state
        values: torch.Tensor = self.head(hidden)[..., 0].float().gather(1, batch.before)
        return values


@dataclass(frozen=True)
class PpoNetworks:
    """The networks of a run and the optimizer of those that are trained."""

    policy: PreTrainedModel
    reference: PreTrainedModel
    """The policy as training started; frozen."""
    value: ValueModel | None
    """Null for GRPO."""
    scorer: Scorer
    """The reward model; frozen."""
    optimizer: torch.optim.Optimizer
    """Its parameter groups are those of ``trained``, in this order."""

    @classmethod
    def of(cls, start: str | Path, scorer: Scorer, *, has_value: bool) -> "PpoNetworks":
        """Start all networks from one checkpoint, without dropout, which would change ratios.

        ``has_value`` says whether there is a value network.
        """
        device = "cuda" if torch.cuda.is_available() else "cpu"
        policy, reference = (
            load_weights(AutoModelForCausalLM, start, dtype=torch.float32).to(device).eval()
            for _ in range(2)
        )
        reference.requires_grad_(False)
        value = ValueModel(start).to(device).eval() if has_value else None
        trained = [module for module in (policy, value) if module is not None]
        groups = [{"params": list(module.parameters())} for module in trained]
        return cls(policy, reference, value, scorer, torch.optim.AdamW(groups, weight_decay=0.0))

    @property
    def trained(self) -> dict[str, nn.Module]:
        """Return the networks that are trained, by name."""
        value = {} if self.value is None else {"value": self.value}
        return {"policy": self.policy, **value}


def autocast(device: torch.device) -> torch.autocast:
    """Return bfloat16 arithmetic on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def log_probs_of(
    model: PreTrainedModel, batch: EpisodeBatch, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log probability of each response token and the entropy of its distribution.

    Both are (episodes, longest response), in nats, at the temperature of the draws.
    """
    with autocast(model.device):
        logits = model(input_ids=batch.ids, use_cache=False).logits
    width = logits.shape[-1]
    predicting = logits.gather(1, batch.before[..., None].expand(-1, -1, width)).float()
    log_probs = F.log_softmax(predicting / temperature, dim=-1)
    entropies = -(log_probs.exp() * log_probs).sum(-1)
    return log_probs.gather(2, batch.tokens[..., None])[..., 0], entropies


def write_policy(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the policy for an engine in the precision that the trainer computes with.

    Responses drawn from rounded weights are less likely under the exact weights, much less at
    high learning rates. An engine of another ``dtype`` rounds them nevertheless: on a CPU it
    should be float32.
    """
    dtype = torch.bfloat16 if policy.device.type == "cuda" else torch.float32
    weights = {name: weight.to(dtype) for name, weight in policy.state_dict().items()}
    # An engine may still have the weights of the iteration before mapped into its memory.
    with replacing_folder(folder) as written:
        policy.save_pretrained(written, state_dict=weights)
        tokenizer.save_pretrained(written)
