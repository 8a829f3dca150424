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

PREFILL_TOKENS = {"cpu": 512, "cuda": 8192}
"""Padded prompt tokens of one prefill at most, by device: they bound the memory of its activations.
A CPU is as fast with few, of which less is padding."""


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


def prefilled(
    model: "PreTrainedModel", groups: list[Group], ahead: list[Prompt]
) -> Iterator[Group]:
    """Yield the groups once their prompts have states; few of the states are held at a time.

    Causal attention never looks ahead, so that a prompt's states are the first of those of a longer
    prompt that begins with it: of a solution's prefixes only the longest is computed.

    Args:
        model: the language model.
        groups: the prompts that start now.
        ahead: prompts with tokens that start later. Those that one that starts now begins get
            states, too.
    """
    starting = {group[0].text: group for group in groups if group[0].needs_prefill}
    yield from (group for group in groups if group[0].text not in starting)
    trunks = trunks_of([prompt for prompt, _ in starting.values()], ahead)
    trunks.sort(key=lambda trunk: len(trunk[0].ids), reverse=True)
    while trunks:
        size = max(1, PREFILL_TOKENS[model.device.type] // (len(trunks[0][0].ids) - 1))
        batch, trunks = trunks[:size], trunks[size:]
        states = states_of(model, [trunk[0] for trunk in batch])
        for i, trunk in enumerate(batch):
            for prompt in trunk:
                prompt.states = states[:, :, i, :, : len(prompt.ids) - 1]
                # The longest pays for the tokens of all.
                prompt.is_charged |= prompt is not trunk[0]
                if prompt.text in starting:
                    yield starting[prompt.text]
                else:
                    # A view would keep the states of the whole prefill in memory.
                    prompt.states = prompt.states.clone()


def trunks_of(starting: list[Prompt], ahead: list[Prompt]) -> list[list[Prompt]]:
    """Return prompts by the one that all others of its list begin; that one is the first.

    Lists without a prompt that starts now are left out.
    """
    trunks: list[list[Prompt]] = []
    # In this order a prompt comes before, and next to, those that it begins.
    for prompt in sorted([*starting, *ahead], key=lambda prompt: prompt.ids[:-1], reverse=True):
        length = len(prompt.ids) - 1
        if trunks and trunks[-1][0].ids[:length] == prompt.ids[:-1]:
            trunks[-1].append(prompt)
        else:
            trunks.append([prompt])
    names = {prompt.text for prompt in starting}
    return [trunk for trunk in trunks if any(prompt.text in names for prompt in trunk)]


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
