"""Pack examples of token ids end to end into batches without padding.

A batch is one row. Positions restart with each example, and each example attends to itself only:
one example after another on a CPU, in one kernel for sequences of different lengths on a GPU. The
block-diagonal mask that transformers builds from such positions gives the same logits, but
computes scores between all tokens of the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

IGNORED = -100
"""A target that no loss counts."""

PACKED = "packed"
"""The name under which transformers knows this attention."""

SHARED_HEADS: dict[str, Any] = (  # the values of other arguments have other types
    {"enable_gqa": True} if "enable_gqa" in signature(varlen_attn).parameters else {}
)
"""The argument that allows fewer key-value heads than query heads: PyTorch 2.11 allows them always,
later versions if asked."""


@dataclass(frozen=True)
class Example:
    """One sequence of token ids with its targets and labels."""

    ids: Sequence[int]
    targets: Sequence[int]
    """Token to predict at each position, or IGNORED."""
    tags: Sequence[int]
    """Positions whose reward is trained: none for SFT, one for an ORM, one a step for a PRM."""
    labels: Sequence[float]
    """Label of each tag, in [0, 1]."""
    is_cut: bool = False
    """Whether steps were left out because they did not fit."""

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.targets)
        assert len(self.tags) == len(self.labels), "labels and step tags differ in number"


class Counts(NamedTuple):
    """The numbers that losses divide by, over all examples of an optimisation step."""

    targets: int
    """Tokens to predict."""
    tags: int
    """Tags with a label."""

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Counts":
        """Count the targets and tags of examples."""
        targets = (len(e.targets) - e.targets.count(IGNORED) for e in examples)
        return cls(sum(targets), sum(len(example.tags) for example in examples))


@dataclass(frozen=True)
class Batch:
    """Packed examples. Logits are computed only at *places*: positions with a target or a tag."""

    ids: torch.Tensor
    """Token ids, (1, tokens), int64."""
    positions: torch.Tensor
    """Position of each token in its example, (1, tokens), int64."""
    lengths: tuple[int, ...]
    """Tokens of each example."""
    starts: torch.Tensor
    """Index of each example's first token, and the number of tokens, (examples + 1,), int32."""
    places: torch.Tensor
    """Index of each place in the row, (places,)."""
    targets: torch.Tensor
    """Token to predict at each place, or IGNORED, (places,)."""
    tagged: torch.Tensor
    """Index of each tag among the places, (tags,)."""
    labels: torch.Tensor
    """Label of each tag in [0, 1], (tags,)."""
    counts: Counts
    """Counts of all batches of the optimisation step, on all processes. Losses are sums divided
    by these."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on a device.

        They are copied to a GPU while it works on what was asked of it before.
        """

        def move(tensor: torch.Tensor) -> torch.Tensor:
            if device.type == "cuda":
                return tensor.pin_memory().to(device, non_blocking=True)
            return tensor.to(device)

        tensors = {
            name: move(value)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **tensors)  # type: ignore[arg-type]  # all of them are tensors


def next_tokens(ids: Sequence[int], is_target: Sequence[bool]) -> list[int]:
    """Return the target of each position: the next token if that is a target, else IGNORED."""
    following = zip(ids[1:], is_target[1:], strict=True)
    return [*(token if counts else IGNORED for token, counts in following), IGNORED]


def pack(
    examples: Sequence[Example], counts: Counts | None = None, *, tags_only: bool = False
) -> Batch:
    """Pack examples into one batch.

    Args:
        examples: what to pack, in this order.
        counts: those of the whole optimisation step. By default the examples are all of it.
        tags_only: take no logits at targets, for losses that read tags alone.
    """
    lengths = [len(example.ids) for example in examples]
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    targets = torch.tensor([target for example in examples for target in example.targets])
    tags = torch.tensor(
        [
            start + tag
            for start, example in zip(starts, examples, strict=False)
            for tag in example.tags
        ],
        dtype=torch.long,
    )
    if tags_only:
        targets.fill_(IGNORED)
    is_place = targets != IGNORED
    is_place[tags] = True
    places = is_place.nonzero()[:, 0]
    return Batch(
        ids=torch.tensor([[token for example in examples for token in example.ids]]),
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        lengths=tuple(lengths),
        starts=torch.tensor(starts, dtype=torch.int32),
        places=places,
        targets=targets[places],
        tagged=torch.searchsorted(places, tags),
        labels=torch.tensor([label for example in examples for label in example.labels]),
        counts=counts or Counts.of(examples),
    )


def logits_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the logits at the places, (places, vocabulary or labels), in float32.

    The model is a transformers model with this module's attention (``PACKED``).
    """
    logits: torch.Tensor = model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        logits_to_keep=batch.places,
        lengths=batch.lengths,
        starts=batch.starts,
        use_cache=False,
    ).logits[0]
    # Token classifiers ignore logits_to_keep and return all positions.
    at_places = logits if logits.shape[0] == batch.places.shape[0] else logits[batch.places]
    return at_places.float()


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    lengths: tuple[int, ...],
    starts: torch.Tensor,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attend within each example of a packed row.

    Args:
        query, key, value: (1, heads, tokens, width).
        lengths, starts: as in :class:`Batch`.

    Returns:
        (1, tokens, heads, width), and None for the attention weights.

    Raises:
        ValueError: an example is longer than the model's sliding window. Lower ``max_length``.
    """
    assert attention_mask is None, "a packed row has no mask"
    if sliding_window is not None and max(lengths) > sliding_window:
        raise ValueError(
            f"the model's attention reaches back {sliding_window} tokens, and an example has "
            f"{max(lengths)}: set training.max_length to {sliding_window} or less"
        )
    if query.device.type == "cuda" and not dropout:
        return attend_in_one_kernel(query, key, value, lengths, starts, scaling), None
    parts = (torch.split(packed, list(lengths), dim=2) for packed in (query, key, value))
    attended = [
        sdpa_attention_forward(
            module, *part, None, dropout=dropout, scaling=scaling, is_causal=True
        )[0]
        for part in zip(*parts, strict=True)
    ]
    return torch.cat(attended, dim=1), None


def attend_in_one_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: tuple[int, ...],
    starts: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """Attend in all examples with PyTorch's kernel for different lengths, which takes 16 bits.

    Returns:
        (1, tokens, heads, width).
    """
    longest = max(lengths)
    attended = varlen_attn(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        starts,
        starts,
        longest,
        longest,
        scale=scaling,
        window_size=(-1, 0),  # causal
        **SHARED_HEADS,
    )
    assert isinstance(attended, torch.Tensor)
    return attended[None]


AttentionInterface.register(PACKED, packed_attention)
