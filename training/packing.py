"""Pack examples of token ids end to end into batches without padding.

A batch is one row. Positions restart with each example, and attention splits the row again, so
that each example attends to itself only. The block-diagonal mask that transformers builds from
such positions gives the same logits, but computes scores between all tokens of the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

IGNORED = -100
"""A target that no loss counts."""

PACKED = "packed"
"""The name under which transformers knows this attention."""

ONE_BY_ONE = frozenset({"cpu"})
"""Devices on which one attention call an example costs less than padding."""


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
    slots: torch.Tensor
    """Index of each token in the flattened (examples, longest example), (tokens,)."""
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
        """Return the batch with its tensors on a device."""
        return replace(
            self,
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            slots=self.slots.to(device),
            places=self.places.to(device),
            targets=self.targets.to(device),
            tagged=self.tagged.to(device),
            labels=self.labels.to(device),
        )


def next_tokens(ids: Sequence[int], is_target: Sequence[bool]) -> list[int]:
    """Return the target of each position: the next token if that is a target, else IGNORED."""
    following = zip(ids[1:], is_target[1:], strict=True)
    return [*(token if counts else IGNORED for token, counts in following), IGNORED]


def pack(examples: Sequence[Example], counts: Counts | None = None) -> Batch:
    """Pack examples into one batch.

    ``counts`` are those of the whole optimisation step. By default the examples are all of it.
    """
    lengths = [len(example.ids) for example in examples]
    longest = max(lengths)
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
    is_place = targets != IGNORED
    is_place[tags] = True
    places = is_place.nonzero()[:, 0]
    return Batch(
        ids=torch.tensor([[token for example in examples for token in example.ids]]),
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        lengths=tuple(lengths),
        slots=torch.cat(
            [torch.arange(length) + row * longest for row, length in enumerate(lengths)]
        ),
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
        slots=batch.slots,
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
    slots: torch.Tensor,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attend within each example of a packed row.

    Args:
        query, key, value: (1, heads, tokens, width).
        lengths, slots: as in :class:`Batch`.

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
    attend = partial(
        sdpa_attention_forward,
        module,
        attention_mask=None,
        dropout=dropout,
        scaling=scaling,
        is_causal=True,
    )
    if query.device.type in ONE_BY_ONE:
        return attend_one_by_one(attend, query, key, value, lengths), None
    return attend_side_by_side(attend, query, key, value, lengths, slots), None


Attend = Callable[..., tuple[torch.Tensor, None]]


def attend_one_by_one(
    attend: Attend,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: tuple[int, ...],
) -> torch.Tensor:
    """Attend in one example after another, without any padding."""
    parts = (torch.split(packed, list(lengths), dim=2) for packed in (query, key, value))
    return torch.cat([attend(q, k, v)[0] for q, k, v in zip(*parts, strict=True)], dim=1)


def attend_side_by_side(
    attend: Attend,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: tuple[int, ...],
    slots: torch.Tensor,
) -> torch.Tensor:
    """Attend in all examples at once, each padded to the longest: one call, for GPUs.

    No mask is needed, because causal attention never looks ahead into the padding.
    """
    shape = (len(lengths), max(lengths))

    def unpack(packed: torch.Tensor) -> torch.Tensor:
        tokens = packed[0].transpose(0, 1)
        rows = tokens.new_zeros(shape[0] * shape[1], *tokens.shape[1:])
        return rows.index_copy(0, slots, tokens).view(*shape, *tokens.shape[1:]).transpose(1, 2)

    attended, _ = attend(unpack(query), unpack(key), unpack(value))
    return attended.flatten(0, 1).index_select(0, slots)[None]


AttentionInterface.register(PACKED, packed_attention)
