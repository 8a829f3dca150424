"""Examples of token ids, and batches of them packed end to end: no padding, nothing shared.

A batch is one row. Positions restart with each example, and attention takes the row apart again,
so that each example attends to itself alone. A block-diagonal mask over the whole row, what
transformers builds from such positions, gives the same logits, but scores every token against
every other of the row.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

IGNORED = -100
"""A target that does not count."""

PACKED = "packed"
"""The name of this attention among those of transformers."""

ONE_BY_ONE = frozenset({"cpu"})
"""Devices where a call costs so little that padding would cost more."""


@dataclass(frozen=True)
class Example:
    """One sequence. ``targets[t]`` is the token to predict at position t, or IGNORED.

    ``tags`` are the positions whose reward is trained and ``labels`` their labels in [0, 1]:
    none for SFT, one for an ORM, one a step for a PRM. ``is_cut``: some steps did not fit.
    """

    ids: Sequence[int]
    targets: Sequence[int]
    tags: Sequence[int]
    labels: Sequence[float]
    is_cut: bool = False

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.targets)
        assert len(self.tags) == len(self.labels), "labels and step tags differ in number"


class Counts(NamedTuple):
    """What losses divide by: the tokens to predict and the tags of all that a loss is over."""

    targets: int
    tags: int

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Counts":
        """Count in these examples."""
        targets = (len(e.targets) - e.targets.count(IGNORED) for e in examples)
        return cls(sum(targets), sum(len(example.tags) for example in examples))


@dataclass(frozen=True)
class Batch:
    """Packed examples: ``ids`` and ``positions`` are (1, tokens), int64.

    Logits are computed at the ``kept`` positions alone, (places,), those with a target or a tag:
    ``targets`` are (places,) and tag i stands at ``kept[tagged[i]]`` with ``labels[i]``.
    ``slots`` (tokens,) says where each token lies in (examples, longest), flat. Losses are sums
    divided by ``counts``: those of all batches of one optimisation step, on all processes.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]
    slots: torch.Tensor
    kept: torch.Tensor
    targets: torch.Tensor
    tagged: torch.Tensor
    labels: torch.Tensor
    counts: Counts

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on a device."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


def next_tokens(ids: Sequence[int], counts: Sequence[bool]) -> list[int]:
    """Return the target of each position: the next token where that one counts, else IGNORED."""
    following = zip(ids[1:], counts[1:], strict=True)
    return [*(token if counted else IGNORED for token, counted in following), IGNORED]


def pack(examples: Sequence[Example], counts: Counts | None = None) -> Batch:
    """Pack examples; ``counts`` are of all that the loss is over, if these are a part of it."""
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
    is_kept = targets != IGNORED
    is_kept[tags] = True
    kept = is_kept.nonzero()[:, 0]
    return Batch(
        ids=torch.tensor([[token for example in examples for token in example.ids]]),
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        lengths=tuple(lengths),
        slots=torch.cat(
            [torch.arange(length) + row * longest for row, length in enumerate(lengths)]
        ),
        kept=kept,
        targets=targets[kept],
        tagged=torch.searchsorted(kept, tags),
        labels=torch.tensor([label for example in examples for label in example.labels]),
        counts=counts or Counts.of(examples),
    )


def logits_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the logits at the kept positions, (places, vocabulary or labels), in float32.

    The model is one of transformers' with this module's attention (``PACKED``).
    """
    logits: torch.Tensor = model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        logits_to_keep=batch.kept,
        lengths=batch.lengths,
        slots=batch.slots,
        use_cache=False,
    ).logits[0]
    # Token classifiers know no logits_to_keep.
    kept = logits if logits.shape[0] == batch.kept.shape[0] else logits[batch.kept]
    return kept.float()


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
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each example of a packed row.

    Args:
        query, key, value: (1, heads, tokens, width).
        lengths, slots: as in :class:`Batch`.

    Returns:
        (1, tokens, heads, width), and no weights.

    Raises:
        ValueError: an example is longer than the model's sliding window.
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
    """Attend in one example after another: no padding at all."""
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
    """Attend in all examples at once, each padded to the longest: few calls, for GPUs.

    Needs no mask: causal attention never looks ahead into the padding.
    """
    shape = (len(lengths), max(lengths))

    def unpack(packed: torch.Tensor) -> torch.Tensor:
        tokens = packed[0].transpose(0, 1)
        rows = tokens.new_zeros(shape[0] * shape[1], *tokens.shape[1:])
        return rows.index_copy(0, slots, tokens).view(*shape, *tokens.shape[1:]).transpose(1, 2)

    attended, _ = attend(unpack(query), unpack(key), unpack(value))
    return attended.flatten(0, 1).index_select(0, slots)[None]


AttentionInterface.register(PACKED, packed_attention)


def share_out(lengths: Sequence[int], num_groups: int) -> list[list[int]]:
    """Share indices out among groups of about equally many tokens; none is left empty.

    Raises:
        ValueError: there are fewer examples than groups.
    """
    if len(lengths) < num_groups:
        raise ValueError(
            f"{len(lengths)} examples a step for {num_groups} processes: raise training.batch_size"
        )
    groups: list[list[int]] = [[] for _ in range(num_groups)]
    heap = [(0, 0, number) for number in range(num_groups)]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        tokens, size, number = heapq.heappop(heap)
        groups[number].append(index)
        heapq.heappush(heap, (tokens + lengths[index], size + 1, number))
    return groups


def split_passes(
    lengths: Sequence[int], num_processes: int, tokens_per_pass: int
) -> list[list[list[int]]]:
    """Return the indices of each forward pass of each process: ``[process][pass]``.

    All processes make equally many passes (sharded models must) of at most ``tokens_per_pass``
    tokens, wherever that can hold more than one example; those of a pass are of similar length.
    """
    shares = share_out(lengths, num_processes)
    most = min(map(len, shares))
    num_passes = min(most, max(1, -(-sum(lengths) // (num_processes * tokens_per_pass))))
    while True:
        passes = [cut(share, lengths, num_passes) for share in shares]
        fullest = max(sum(lengths[index] for index in part) for cuts in passes for part in cuts)
        if fullest <= tokens_per_pass or num_passes == most:
            return passes
        num_passes += 1


def cut(share: Sequence[int], lengths: Sequence[int], num_parts: int) -> list[list[int]]:
    """Cut indices, in order of length, into parts of about equally many tokens, none empty."""
    waiting = sorted(share, key=lambda index: lengths[index])
    left = sum(lengths[index] for index in waiting)
    parts: list[list[int]] = []
    for others in reversed(range(num_parts)):
        goal, taken = left / (others + 1), 0
        part: list[int] = []
        while len(waiting) > others and (not part or not others or taken < goal):
            part.append(waiting.pop(0))
            taken += lengths[part[-1]]
        left -= taken
        parts.append(part)
    return parts
