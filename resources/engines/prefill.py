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

CPU_PREFILL_TOKENS = 512
"""The same on a CPU, which is as fast with few tokens, of which less is padding."""

FEWEST_KNOWN = 64
"""Tokens that a GPU's prefill takes from the one before at least: the mask that they need rules out
its fastest attention kernels."""


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

    cached_tokens: int = 0
    """Tokens whose states the next request finds computed (``Completion.cached_tokens``)."""

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


class Prefill:
    """Computes the states of prompts.

    Causal attention never looks ahead, so that prompts share the states of the tokens with which
    both begin: of a solution's prefixes only the longest is computed, and of that what differs from
    the prompt before it, which has the same examples or the same question.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model
        is_on_cpu = model.device.type == "cpu"
        self._most_tokens = CPU_PREFILL_TOKENS if is_on_cpu else PREFILL_TOKENS
        self._fewest_known = 1 if is_on_cpu else FEWEST_KNOWN
        self._last_ids: list[int] = []
        self._last_states: torch.Tensor | None = None

    def start(self, groups: list[Group], ahead: list[Prompt]) -> Iterator[Group]:
        """Yield the groups once their prompts have states; few of the states are held at a time.

        ``ahead`` are prompts with tokens that start later. Those that begin one that starts now, or
        continue it, get states, too.
        """
        starting = {group[0].text: group for group in groups if group[0].needs_prefill}
        yield from (group for group in groups if group[0].text not in starting)
        chains = chains_of([prompt for prompt, _ in starting.values()], ahead)
        while chains:
            batch = self._batch(chains)
            chains = chains[len(batch) :]
            states, num_known = self._states_of([chain[0] for chain in batch])
            for i, chain in enumerate(batch):
                own = states[:, :, i, :, : len(chain[0].ids) - 1]
                if any(prompt.waiting for prompt in chain):
                    # A view would keep the states of the whole prefill in memory.
                    own = own.clone()
                for prompt in chain:
                    length = len(prompt.ids) - 1
                    prompt.states = own[..., :length, :]
                    # The longest pays for the tokens of all.
                    prompt.cached_tokens = num_known if prompt is chain[0] else length
                    if prompt.text in starting:
                        yield starting[prompt.text]

    def _batch(self, chains: list[list[Prompt]]) -> list[list[Prompt]]:
        """Return the first of the lists, as many as one prefill may have."""
        longest = 0
        for count, (first, *_) in enumerate(chains):
            longest = max(longest, len(first.ids) - 1)
            if count and (count + 1) * longest > self._most_tokens:
                return chains[:count]
        return chains

    def _states_of(self, prompts: list[Prompt]) -> tuple[torch.Tensor, int]:
        """Return keys and values of all prompt tokens but the last, and how many were known.

        The shape is (2, layers, prompts, heads, most tokens - 1, head size).
        """
        ids = [prompt.ids[:-1] for prompt in prompts]
        # A pass needs a token.
        num_known = min(num_shared([self._last_ids, *ids]), max(map(len, ids)) - 1)
        if num_known < self._fewest_known:
            num_known = 0
        # Padding is on the right, where causal attention never looks.
        padded = torch.zeros((len(ids), max(map(len, ids)) - num_known), dtype=torch.int64)
        for row, tokens in zip(padded, ids, strict=True):
            row[: len(tokens) - num_known] = torch.tensor(tokens[num_known:])
        cache = DynamicCache(self._known(num_known, len(ids)))
        self._model(
            input_ids=padded.to(self._model.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        layers = cache.layers
        shape = (2, len(layers), *layers[0].keys.shape)
        states: torch.Tensor = layers[0].keys.new_empty(shape)
        for i, layer in enumerate(layers):
            states[0, i], states[1, i] = layer.keys, layer.values
        self._last_ids = ids[-1]
        self._last_states = states[:, :, -1, :, : len(ids[-1])].clone()
        return states, num_known

    def _known(
        self, num_tokens: int, num_prompts: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]] | None:
        """Return keys and values of each layer, (prompts, heads, tokens, head size), if any."""
        if not num_tokens:
            return None
        assert self._last_states is not None
        known = self._last_states[:, :, None, :, :num_tokens].expand(
            -1, -1, num_prompts, -1, -1, -1
        )
        return list(zip(*known, strict=True))


def num_shared(sequences: list[list[int]]) -> int:
    """Return with how many equal tokens all sequences begin."""
    first, last = min(sequences), max(sequences)
    differing = (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return next(differing, min(len(first), len(last)))


def chains_of(starting: list[Prompt], ahead: list[Prompt]) -> list[list[Prompt]]:
    """Return lists of prompts: all others of a list begin its first one.

    Lists without a prompt that starts now are left out.
    """
    chains: list[list[Prompt]] = []
    # In this order a prompt comes right after those that it begins, and after its like.
    for prompt in sorted([*starting, *ahead], key=lambda prompt: prompt.ids[:-1], reverse=True):
        length = len(prompt.ids) - 1
        if chains and chains[-1][0].ids[:length] == prompt.ids[:-1]:
            chains[-1].append(prompt)
        else:
            chains.append([prompt])
    names = {prompt.text for prompt in starting}
    return [chain for chain in chains if any(prompt.text in names for prompt in chain)]
