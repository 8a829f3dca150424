"""How a language model scores steps: a tag after each step, two label tokens, one probability.

As in the published Math-Shepherd PRM, the tag ``ки`` closes a step and the score is the softmax
over the tokens ``+`` and ``-`` at the tag. Written as a reward r = logit(+) - logit(-), this is
the sigmoid(r) of equations 1 and 2 of arXiv 2312.08935.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from training.loop import IGNORED, Batch, Example, next_tokens

STEP_TAG, GOOD, BAD = " ки", "+", "-"
"""The published tag and labels; the label tokens are not the signs of sums, which have a space."""


@dataclass(frozen=True)
class Tags:
    """Token ids of the step tag and of the two labels."""

    tag: int
    good: int
    bad: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Tags":
        """Look the tokens up.

        Raises:
            ValueError: the tokenizer has no token for one of them.
        """
        ids = []
        for text in (STEP_TAG, GOOD, BAD):
            token = tokenizer.encode(text, add_special_tokens=False)[-1]
            if token == tokenizer.unk_token_id:
                raise ValueError(
                    f"the tokenizer has no token for {text!r}: add it to the base model's "
                    "vocabulary before training a reward model from it"
                )
            ids.append(token)
        return cls(*ids)


def encode_tagged(
    tokenizer: PreTrainedTokenizerBase,
    tags: Tags,
    prompt: str,
    steps: Sequence[str],
    labels: Sequence[float],
    max_length: int,
) -> Example:
    """Assemble prompt, steps and tags from token ids; a tag stands before a step's newline.

    Never a joined string: tokenizing that would move the tag. Steps that do not fit into
    ``max_length`` tokens are cut whole, with their labels, so the two always agree in number.
    Language-model targets are the tokens of the steps labelled good.
    """
    ids = tokenizer.encode(prompt)
    counts = [False] * len(ids)
    places: list[int] = []
    for step, label in zip(steps, labels, strict=True):
        body_text = step.rstrip()
        body = tokenizer.encode(body_text, add_special_tokens=False)
        closing = tokenizer.encode(step[len(body_text) :], add_special_tokens=False)
        if len(ids) + len(body) + 1 > max_length:
            break
        places.append(len(ids) + len(body))
        ids += [*body, tags.tag, *closing]
        counts += [label > 0.5] * len(body) + [False] * (1 + len(closing))
    kept = [float(label) for label in labels[: len(places)]]
    return Example(ids, next_tokens(ids, counts), places, kept)


def rewards(logits: torch.Tensor, batch: Batch, tags: Tags) -> torch.Tensor:
    """Return r = logit(+) - logit(-) at each tag, (tags of the batch,)."""
    at_tags = logits[batch.rows, batch.columns]
    return at_tags[:, tags.good] - at_tags[:, tags.bad]


def reward_loss(logits: torch.Tensor, batch: Batch, tags: Tags, lm_weight: float) -> torch.Tensor:
    """Binary cross entropy of sigmoid(r) against the labels, mean over tags.

    Equation 2 where every step has a tag, equation 1 where only the solution has one. With
    ``lm_weight`` > 0 the model also goes on predicting the text of the good steps.
    """
    loss = F.binary_cross_entropy_with_logits(rewards(logits, batch, tags), batch.labels)
    kept = batch.targets != IGNORED
    if lm_weight > 0 and bool(kept.any()):
        loss = loss + lm_weight * F.cross_entropy(logits[kept], batch.targets[kept])
    return loss
