"""Compute the decode steps of Llama's design in few operations.

With a small model, transformers takes longer around the matrix products of a step than for them: a
kernel for each elementwise operation, modules, and checks that are the same in every step.
"""

from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.models.mistral.modeling_mistral import MistralForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2ForCausalLM

from resources.engines.row_cache import RowCache

DESIGNS = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM)
"""Models whose forward pass this module knows."""


def decode_step(
    model: PreTrainedModel, tokens: torch.Tensor, positions: torch.Tensor, rows: RowCache
) -> torch.Tensor:
    """Return the logits of the token after each row's last, (rows, vocabulary).

    Args:
        model: the language model.
        tokens: the last token of each row, (rows, 1).
        positions: its position, (rows, 1).
        rows: keys and values of the tokens before it; gets those of the last token.
    """
    if type(model) in DESIGNS and model.config.hidden_act == "silu":
        return _known_design(model, tokens, positions, rows)
    # attend_rows gets the cache as an option of the attention.
    logits: torch.Tensor = model(
        input_ids=tokens, position_ids=positions, rows=rows, use_cache=False
    ).logits
    return logits[:, -1]


def _known_design(
    model: Any,  # one of DESIGNS: their attributes have no common type
    tokens: torch.Tensor,
    positions: torch.Tensor,
    rows: RowCache,
) -> torch.Tensor:
    """Return the logits of a model of ``DESIGNS``, (rows, vocabulary).

    They are those of transformers up to the rounding of sums.
    """
    hidden = model.model.embed_tokens(tokens[:, 0])
    cosines, sines = model.model.rotary_emb(hidden[:, None], position_ids=positions)
    first, second = sines.chunk(2, dim=-1)
    signed_sines = torch.cat([-first, second], dim=-1)
    for number, layer in enumerate(model.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        normalised = _normalised(hidden, layer.input_layernorm)
        query, key, value = (
            projection(normalised).view(len(hidden), -1, attention.head_dim)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        attended = rows.attend(
            number,
            _rotated(query, cosines, signed_sines),
            _rotated(key, cosines, signed_sines),
            value,
            scaling=attention.scaling,
            sliding_window=_sliding_window(model, attention),
        )
        hidden += attention.o_proj(attended.flatten(1))
        normalised = _normalised(hidden, layer.post_attention_layernorm)
        hidden += mlp.down_proj(F.silu(mlp.gate_proj(normalised)).mul_(mlp.up_proj(normalised)))
    logits: torch.Tensor = model.lm_head(_normalised(hidden, model.model.norm))
    return logits


def _sliding_window(model: Any, attention: Any) -> int | None:
    """Return how many tokens a layer attends to; None for all."""
    # As in transformers: Mistral has it in its config, Qwen2 in each layer.
    owner = model.config if isinstance(model, MistralForCausalLM) else attention
    window: int | None = getattr(owner, "sliding_window", None)
    return window


def _normalised(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    """Return RMSNorm (arXiv 1910.07467) of (rows, hidden)."""
    exact = hidden.float()
    length = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
    inverse = length.square_().div_(hidden.shape[-1]).add_(norm.variance_epsilon).rsqrt_()
    normalised: torch.Tensor = (exact * inverse).to(hidden.dtype) * norm.weight
    return normalised


def _rotated(
    heads: torch.Tensor, cosines: torch.Tensor, signed_sines: torch.Tensor
) -> torch.Tensor:
    """Rotate each head of (rows, heads, size) by its row's angles, (rows, 1, size).

    The first half of a head is paired with the second (arXiv 2104.09864, in transformers' order).
    """
    half = heads.shape[-1] // 2
    return torch.addcmul(heads * cosines, heads.roll(half, -1), signed_sines)
