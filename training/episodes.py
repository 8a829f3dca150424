"""Responses of a policy as token ids, with the token that ends each step, and padded batches."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from shepherd.requests import Completion
from shepherd.splitting import Method, split_steps
from training.continuation import continuation


@dataclass(frozen=True)
class Question:
    """A problem to draw responses to, the policy's prompt, and how responses are cut into steps."""

    text: str
    gold_answer: str
    prompt: str
    method: Method


@dataclass(frozen=True)
class Episode:
    """One response to a question. ``prompt`` and ``response`` are token ids.

    ``ends[i]`` is the place of step i's last token in ``response``. ``is_cut``: it reached its
    token limit.
    """

    question: str
    gold_answer: str
    text: str
    prompt: list[int]
    response: list[int]
    steps: list[str]
    ends: list[int]
    is_cut: bool


def read_response(tokenizer: Any, question: Question, completion: Completion) -> Episode | None:
    """Return a completion as an episode; None if it is an error or holds no token.

    The text is tokenized once, as one piece, and a step ends with the token that holds its last
    character, its separator included. The last one ends with the stop token, if the response has
    one. An empty text is one empty step.
    """
    is_cut = completion.finish_reason != "stop"
    prompt, response, starts = continuation(tokenizer, question.prompt, completion.text)
    steps = split_steps(completion.text, question.method) or [completion.text]
    ends = [bisect_left(starts, end) - 1 for end in accumulate(len(step) for step in steps)]
    if not is_cut:
        response.append(tokenizer.eos_token_id)
    if completion.finish_reason == "error" or not response:
        return None
    ends[-1] = len(response) - 1
    return Episode(
        question.text,
        question.gold_answer,
        completion.text,
        prompt,
        response,
        steps,
        ends,
        is_cut,
    )


@dataclass(frozen=True)
class Rows:
    """Padded episodes.

    ``ids`` is (episodes, length); ``tokens``, ``mask`` and ``before`` are (episodes, response
    tokens), ``before`` being the place in ``ids`` from which each token is foretold.
    """

    ids: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor
    before: torch.Tensor

    @classmethod
    def of(cls, episodes: Sequence[Episode], device: torch.device) -> "Rows":
        """Pad on the right, where causal attention never looks."""
        responses = [episode.response for episode in episodes]
        whole = [episode.prompt + episode.response for episode in episodes]
        lengths = torch.tensor([[len(response)] for response in responses])
        first = torch.tensor([[len(episode.prompt) - 1] for episode in episodes])
        places = torch.arange(int(lengths.max()))[None]
        mask = places < lengths
        return cls(
            ids=padded(whole, 0).to(device),
            tokens=padded(responses, 0).to(device),
            mask=mask.float().to(device),
            before=((first + places) * mask).to(device),
        )


def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Return rows of different lengths as (rows, longest), padded on the right."""
    length = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])


def groups_of(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield indices of similar lengths, at most ``batch_tokens`` padded tokens at a time."""
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        if group and (len(group) + 1) * lengths[index] > batch_tokens:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def autocast(device: torch.device) -> torch.autocast:
    """Return bfloat16 arithmetic on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
