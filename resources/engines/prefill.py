"""Hold the prompts and rows of a batch, and compute the states of prompts."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from shepherd.requests import Request

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREFILL_TOKENS = 8192
"""Padded prompt tokens of one prefill at most: they bound the memory of its activations."""


@dataclass
class Prompt:
    """A distinct prompt with the requests that wait for it."""

    text: str
    waiting: deque[Request] = field(default_factory=deque)
    ids: list[int] = field(default_factory=list)
    """The tokens; empty until the prompt is tokenized."""

    tail: str = ""
    """The text of the last tokens (:data:`resources.engines.texts.TAIL_TOKENS`)."""

    states: torch.Tensor | None = None
    """Keys and values, (2, layers, heads, tokens - 1, head size), while requests wait.

    The last token is fed with the decode steps, so that every rollout has its own first logits.
    """

    is_charged: bool = False
    """Whether a request was charged for the prompt's tokens; later ones count them as cached."""

    @property
    def needs_prefill(self) -> bool:
        """Whether the states must be computed before a request can start."""
        return self.states is None and len(self.ids) > 1


@dataclass
class BatchRow:
    """A running request. ``started`` is the engine's clock when it was admitted, in seconds."""

    request: Request
    prompt: Prompt
    cached_tokens: int
    started: float
    ids: list[int] = field(default_factory=list)
    """The tokens drawn so far."""


Group = tuple[Prompt, list[Request]]
"""A prompt and those of its requests that start now."""


def prefilled(model: "PreTrainedModel", groups: list[Group]) -> Iterator[Group]:
    """Yield the groups once their prompts have states; few of the states are held at a time."""
    missing = [group for group in groups if group[0].needs_prefill]
    yield from (group for group in groups if not group[0].needs_prefill)
    missing.sort(key=lambda group: len(group[0].ids), reverse=True)
    while missing:
        size = max(1, PREFILL_TOKENS // (len(missing[0][0].ids) - 1))
        batch, missing = missing[:size], missing[size:]
        states = states_of(model, [prompt for prompt, _ in batch])
        for i, (prompt, requests) in enumerate(batch):
            prompt.states = states[:, :, i, :, : len(prompt.ids) - 1]
            yield prompt, requests


def states_of(model: "PreTrainedModel", prompts: list[Prompt]) -> torch.Tensor:
    """Return keys and values of all prompt tokens but the last.

    The shape is (2, layers, prompts, heads, tokens - 1, head size). The longest prompt is the
    first.
    """
    length = len(prompts[0].ids) - 1
    # Padding is on the right, where causal attention never looks.
    padded = torch.zeros((len(prompts), length), dtype=torch.int64)
    for row, prompt in zip(padded, prompts, strict=True):
        row[: len(prompt.ids) - 1] = torch.tensor(prompt.ids[:-1])
    cache = DynamicCache()
    model(
        input_ids=padded.to(model.device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    layers = cache.layers
    shape = (2, len(layers), *layers[0].keys.shape)
    states: torch.Tensor = layers[0].keys.new_empty(shape)
    for i, layer in enumerate(layers):
        states[0, i], states[1, i] = layer.keys, layer.values
    return states
