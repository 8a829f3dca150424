"""Compute decoder layers of Llama's design with fused operations that save little for backward.

A layer of transformers writes every intermediate result to memory: several for a norm, for the
rotation of queries and keys, and for the MLP. On a GPU that traffic takes longer than the matrix
products, and most results are saved for the backward pass. Here each chain of elementwise
operations is one kernel, and the backward pass computes the outputs of norms and the product of
the MLP again. A layer saves its two residual rows, queries, keys, values, the attention's output
and normaliser, and the MLP's two inputs of the product (:func:`shepherd.memory.layer_bytes`).

The design is that of liger-kernel (arXiv 2410.10989), with one addition: a norm and the matrices
behind it are one operation, so that the norm's output is not saved either.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial, wraps
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar
from weakref import proxy

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.mistral.modeling_mistral import MistralDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

from training.packing import packed_attention

LAYERS = (LlamaDecoderLayer, MistralDecoderLayer, Qwen2DecoderLayer)
"""Layers whose forward pass this module knows."""

P = ParamSpec("P")
R = TypeVar("R")


def fuse_layers(model: PreTrainedModel) -> bool:
    """Replace the forward passes of a model's layers, and return whether it could.

    Other designs than ``LAYERS`` with SiLU keep the forward passes of transformers. Losses change
    by rounding only: a chain of operations is rounded once.
    """
    layers = list(getattr(model.base_model, "layers", ()))
    is_known = [type(layer) in LAYERS and layer.mlp.down_proj.bias is None for layer in layers]
    if not layers or not all(is_known) or model.config.hidden_act != "silu":
        return False
    for layer in layers:
        # A layer that refers to itself would hold the GPU's memory until garbage is collected.
        layer.forward = partial(fused_forward, proxy(layer))
    return True


def fused_forward(
    layer: Any,  # one of LAYERS: their attributes have no common type
    hidden_states: torch.Tensor,
    *,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    lengths: tuple[int, ...],
    starts: torch.Tensor,
    **_: object,
) -> torch.Tensor:
    """Return the output of a layer over a packed row, as transformers computes it.

    Args:
        layer: its matrices and norms.
        hidden_states: residual row, (1, tokens, hidden).
        position_embeddings: cosines and sines, (1, tokens, head size) each.
        lengths, starts: as in :class:`training.packing.Batch`.

    Returns:
        (1, tokens, hidden).
    """
    attention, mlp, row = layer.self_attn, layer.mlp, hidden_states[0]
    cosines, sines = (table[0] for table in position_embeddings)
    shape = (len(row), -1, attention.head_dim)
    query, key, value = (
        projected.view(shape)
        for projected in linears_after_norm(
            row, layer.input_layernorm, [attention.q_proj, attention.k_proj, attention.v_proj]
        )
    )
    query, key = _apply(_Rotation, query, key, cosines, sines)
    query, key, value = (heads.transpose(0, 1)[None] for heads in (query, key, value))
    attended, _weights = packed_attention(
        attention,
        query,
        key,
        value,
        None,
        lengths=lengths,
        starts=starts,
        sliding_window=getattr(attention, "sliding_window", None),
        dropout=attention.attention_dropout if layer.training else 0.0,
        scaling=attention.scaling,
    )
    row = row + attention.o_proj(attended[0].flatten(1))
    gate, up = linears_after_norm(row, layer.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj])
    output: torch.Tensor = row + _apply(_GatedLinear, gate, up, mlp.down_proj.weight)
    return output[None]


def _apply(operation: type[torch.autograd.Function], *inputs: object) -> Any:
    """Apply an operation: torch has no types for this."""
    return operation.apply(*inputs)  # type: ignore[no-untyped-call]


def linears_after_norm(
    row: torch.Tensor, norm: Any, linears: Sequence[nn.Linear]
) -> list[torch.Tensor]:
    """Return the outputs of linear layers on the normalised row, (tokens, width) each."""
    weights = [linear.weight for linear in linears]
    outputs = _apply(_LinearsAfterNorm, row, norm.weight, norm.variance_epsilon, *weights)
    return [
        output if linear.bias is None else output + linear.bias
        for output, linear in zip(outputs, linears, strict=True)
    ]


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """Compile elementwise operations into one kernel on GPUs that Triton knows.

    The first argument is (tokens, ...). Its number of tokens changes from pass to pass, and the
    kernel serves all of them.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        if not tensors[0].is_cuda or not _has_triton():
            return function(*args, **kwargs)
        for tensor in tensors:
            if len(tensor) == len(tensors[0]) and tensor.dim() > 1:
                torch._dynamo.mark_dynamic(tensor, 0)
        result: R = _compiled(function)(*args, **kwargs)
        return result

    return run


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


@cache
def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return torch.compile(function, fullgraph=True)


@fused
def normalise(row: torch.Tensor, scale: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return RMSNorm (arXiv 1910.07467) of each token of (tokens, hidden)."""
    exact = row.float()
    inverse = torch.rsqrt(exact.square().mean(-1, keepdim=True) + epsilon)
    return (exact * inverse * scale.float()).to(row.dtype)


@fused
def normalise_backward(
    row: torch.Tensor, scale: torch.Tensor, epsilon: float, grad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the normalised row again, and the gradients of RMSNorm's row and scale."""
    exact, exact_grad = row.float(), grad.float()
    inverse = torch.rsqrt(exact.square().mean(-1, keepdim=True) + epsilon)
    unit = exact * inverse
    scaled = exact_grad * scale.float()
    row_grad = inverse * (scaled - unit * (scaled * unit).mean(-1, keepdim=True))
    normalised = (unit * scale.float()).to(row.dtype)
    return normalised, row_grad.to(row.dtype), (exact_grad * unit).sum(0).to(scale.dtype)


@fused
def gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Return silu(gate) * up, (tokens, intermediate)."""
    return (F.silu(gate.float()) * up.float()).to(gate.dtype)


@fused
def gated_backward(
    gate: torch.Tensor, up: torch.Tensor, grad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return silu(gate) * up again, and the gradients of gate and up."""
    exact, exact_up, exact_grad = gate.float(), up.float(), grad.float()
    share = torch.sigmoid(exact)
    activated = exact * share
    gate_grad = exact_grad * exact_up * share * (1 + exact * (1 - share))
    product, up_grad = activated * exact_up, exact_grad * activated
    return product.to(gate.dtype), gate_grad.to(gate.dtype), up_grad.to(gate.dtype)


@fused
def rotate(
    query: torch.Tensor,
    key: torch.Tensor,
    cosines: torch.Tensor,
    sines: torch.Tensor,
    sign: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate each head of (tokens, heads, size) by its token's angles, or back if sign is -1.

    The first half of a head is paired with the second (arXiv 2104.09864, in transformers' order).
    """
    cosine, sine = cosines[:, None].float(), sign * sines[:, None].float()

    def rotated(heads: torch.Tensor) -> torch.Tensor:
        exact = heads.float()
        first, second = exact.chunk(2, dim=-1)
        turned = torch.cat([-second, first], dim=-1)
        return (exact * cosine + turned * sine).to(heads.dtype)

    return rotated(query), rotated(key)


class _LinearsAfterNorm(torch.autograd.Function):
    """Several matrices on one normalised row; saves the row, and normalises it again."""

    @staticmethod
    def forward(
        ctx: Any,  # torch has no type for it
        row: torch.Tensor,
        scale: torch.Tensor,
        epsilon: float,
        *weights: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(row, scale, *weights)
        ctx.epsilon = epsilon
        normalised = normalise(row, scale, epsilon)
        return tuple(normalised @ weight.T for weight in weights)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        row, scale, *weights = ctx.saved_tensors
        grad = grads[0] @ weights[0]
        for output_grad, weight in zip(grads[1:], weights[1:], strict=True):
            grad.addmm_(output_grad, weight)
        normalised, row_grad, scale_grad = normalise_backward(row, scale, ctx.epsilon, grad)
        return row_grad, scale_grad, None, *(output_grad.T @ normalised for output_grad in grads)


class _GatedLinear(torch.autograd.Function):
    """The last matrix of an MLP on silu(gate) * up; saves gate and up, not their product."""

    @staticmethod
    def forward(
        ctx: Any, gate: torch.Tensor, up: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(gate, up, weight)
        return gated(gate, up) @ weight.T

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gate, up, weight = ctx.saved_tensors
        product, gate_grad, up_grad = gated_backward(gate, up, grad @ weight)
        return gate_grad, up_grad, grad.T @ product


class _Rotation(torch.autograd.Function):
    """Rotary positions of queries and keys; saves the angles, which all layers share."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        cosines: torch.Tensor,
        sines: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(cosines, sines)
        return rotate(query, key, cosines, sines, 1.0)

    @staticmethod
    def backward(
        ctx: Any, query_grad: torch.Tensor, key_grad: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        cosines, sines = ctx.saved_tensors
        return *rotate(query_grad, key_grad, cosines, sines, -1.0), None, None
