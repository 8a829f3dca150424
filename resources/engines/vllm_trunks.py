"""Reward models for vLLM without their heads: it computes hidden states, and a head is ours.

vLLM has no architecture with a value head, and refuses a checkpoint with tensors that it does not
know. :mod:`resources.engines.vllm_pooling` registers these classes.
"""

from collections.abc import Iterable

import torch
from vllm.model_executor.models.llama import LlamaForCausalLM
from vllm.model_executor.models.mistral import MistralForCausalLM
from vllm.model_executor.models.qwen2 import Qwen2ForCausalLM

HEADS = ("score.", "v_head.")
"""Beginnings of the names of a head's tensors."""

Weights = Iterable[tuple[str, torch.Tensor]]


def without_heads(weights: Weights) -> Weights:
    """Return the tensors of a checkpoint that are no head's."""
    return ((name, tensor) for name, tensor in weights if not name.startswith(HEADS))


class LlamaTrunk(LlamaForCausalLM):
    """Llama without its head."""

    def load_weights(self, weights: Weights) -> set[str]:
        """Load all but the head."""
        loaded: set[str] = super().load_weights(without_heads(weights))
        return loaded


class MistralTrunk(MistralForCausalLM):
    """Mistral without its head."""

    def load_weights(self, weights: Weights) -> set[str]:
        """Load all but the head."""
        loaded: set[str] = super().load_weights(without_heads(weights))
        return loaded


class Qwen2Trunk(Qwen2ForCausalLM):
    """Qwen2 without its head."""

    def load_weights(self, weights: Weights) -> set[str]:
        """Load all but the head."""
        loaded: set[str] = super().load_weights(without_heads(weights))
        return loaded
