"""Represent responses of a policy as token ids with the last token of each step."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from transformers import PreTrainedTokenizerBase

from shepherd.requests import Completion
from shepherd.splitting import Method, split_steps
from training.continuation import encode_continuation


@dataclass(frozen=True)
class Question:
    """A problem to draw responses to."""

    text: str
    gold_answer: str
    prompt: str
    """The policy's prompt: the question in its template."""
    method: Method
    """How responses are split into steps."""


@dataclass(frozen=True)
class Episode:
    """One response to a question."""

    question: str
    gold_answer: str
    text: str
    """The response as text."""
    prompt: list[int]
    """Token ids of the prompt."""
    response: list[int]
    """Token ids of the response, the stop token included."""
    steps: list[str]
    ends: list[int]
    """Index in ``response`` of the last token of each step."""
    is_cut: bool
    """Whether the response reached its token limit."""

    @property
    def num_tokens(self) -> int:
        """Return the tokens of prompt and response."""
        return len(self.prompt) + len(self.response)


def read_response(
    tokenizer: PreTrainedTokenizerBase, question: Question, completion: Completion
) -> Episode | None:
    """Return a completion as an episode; None for an error or a completion without a token.

    The text is encoded once, as a whole. A step ends with the token that holds its last
    character, the separator included. The last step ends with the stop token if the response has
    one. An empty text is one empty step.
    """
    is_cut = completion.finish_reason != "stop"
    prompt, response, starts = encode_continuation(tokenizer, question.prompt, completion.text)
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
class EpisodeBatch:
    """Episodes padded on the right, where causal attention never looks."""

    ids: torch.Tensor
    """Prompts and responses, (episodes, longest episode), int64."""
    tokens: torch.Tensor
    """Responses, (episodes, longest response), int64."""
    mask: torch.Tensor
    """1 at the tokens of a response, 0 at padding; float32, as ``tokens``."""
    before: torch.Tensor
    """Position in ``ids`` whose output predicts each token; int64, as ``tokens``."""

    @classmethod
    def of(cls, episodes: Sequence[Episode], device: torch.device) -> "EpisodeBatch":
        """Pad episodes and move them to a device."""
        responses = [episode.response for episode in episodes]
        whole = [episode.prompt + episode.response for episode in episodes]
        lengths = torch.tensor([[len(response)] for response in responses])
        first = torch.tensor([[len(episode.prompt) - 1] for episode in episodes])
        positions = torch.arange(int(lengths.max()))[None]
        mask = positions < lengths
        return cls(
            ids=padded(whole, 0).to(device),
            tokens=padded(responses, 0).to(device),
            mask=mask.float().to(device),
            before=((first + positions) * mask).to(device),
        )


def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Return rows of different lengths as (rows, longest), padded on the right with ``value``."""
    length = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])
