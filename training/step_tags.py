"""Tag the end of each step, and read the reward that a model gives there.

As in the published Math-Shepherd PRM (arXiv 2312.08935), the tag ``ки`` closes a step. The score
of the step is the softmax over the tokens ``+`` and ``-`` at the tag, that is sigmoid(r) with the
reward r = logit(+) - logit(-). A scalar head outputs r itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from shepherd.label_formats import TAG_WORD
from training.packing import Batch, Example, next_tokens

TAG_TEXT = f" {TAG_WORD}"
"""The tag as a tokenizer reads it behind a step. Published texts write a space before the tag."""
GOOD, BAD = "+", "-"
"""The published labels. Plus and minus signs in sums are other tokens: a space precedes them."""


KIND_FIELD = "reward_model_kind"
"""The field of config.json that marks a reward model that was trained here: process or outcome."""


@dataclass(frozen=True)
class Tags:
    """Token ids of the step tag and of the two labels."""

    tag: int
    good: int
    bad: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, model: Path | str = "base model") -> "Tags":
        """Look the three tokens up; ``model`` names the checkpoint in messages.

        Raises:
            ValueError: the tokenizer has no token for one of them, or the same token for two. Add
                it to the base model.
        """
        ids: list[int] = []
        for text in (TAG_TEXT, GOOD, BAD):
            tokens = tokenizer.encode(text, add_special_tokens=False)
            if not tokens or tokens[-1] in (tokenizer.unk_token_id, *ids):
                raise ValueError(
                    f"{model}: the tokenizer has no token for {text!r} alone: add it to the "
                    "vocabulary before training a reward model"
                )
            ids.append(tokens[-1])
        return cls(*ids)


def encode_tagged(
    tokenizer: PreTrainedTokenizerBase,
    tags: Tags,
    prompt: str,
    steps: Sequence[str],
    labels: Sequence[float],
    max_length: int,
) -> Example:
    """Join prompt, steps and tags as token ids; a tag stands before a step's closing newline.

    The parts are encoded one by one, because tokenizing the joined text would move the tag. Steps
    that exceed ``max_length`` tokens are left out whole, with their labels. Language-model targets
    are the tokens of the steps with a label above 0.5. Labels are clipped into [0, 1].

    Returns:
        The example. Its ``tags`` and ``labels`` are equal in number.
    """
    texts = _texts_of(steps)
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return _join(tags, tokenizer.encode(prompt), encoded, labels, max_length)


def encode_all(
    tokenizer: PreTrainedTokenizerBase,
    tags: Tags,
    prompts: Sequence[str],
    solutions: Sequence[Sequence[str]],
    max_length: int,
) -> list[Example]:
    """Encode many solutions as :func:`encode_tagged` does, each distinct text once; labels are 0.

    Candidates of one problem share its prompt and many of their steps.
    """
    texts = [_texts_of(steps) for steps in solutions]
    distinct = list(dict.fromkeys(text for parts in texts for text in parts))
    encoded = tokenizer(distinct, add_special_tokens=False)["input_ids"] if distinct else []
    ids_of = dict(zip(distinct, encoded, strict=True))
    prompt_ids = {prompt: tokenizer.encode(prompt) for prompt in dict.fromkeys(prompts)}
    return [
        _join(
            tags,
            prompt_ids[prompt],
            [ids_of[text] for text in parts],
            [0.0] * (len(parts) // 2),
            max_length,
        )
        for prompt, parts in zip(prompts, texts, strict=True)
    ]


def _texts_of(steps: Sequence[str]) -> list[str]:
    """Return the bodies of the steps, then what closes each of them: its white space."""
    bodies = [step.rstrip() for step in steps]
    return [*bodies, *(step[len(body) :] for step, body in zip(steps, bodies, strict=True))]


def _join(
    tags: Tags,
    prompt_ids: Sequence[int],
    encoded: Sequence[Sequence[int]],
    labels: Sequence[float],
    max_length: int,
) -> Example:
    """Join a prompt and the encoded :func:`_texts_of` steps, as :func:`encode_tagged` says."""
    ids = list(prompt_ids)
    is_target = [False] * len(ids)
    tag_positions: list[int] = []
    num_steps = len(labels)
    pairs = zip(encoded[:num_steps], encoded[num_steps:], strict=True)
    for (body, closing), label in zip(pairs, labels, strict=True):
        if len(ids) + len(body) + 1 > max_length:
            break
        tag_positions.append(len(ids) + len(body))
        ids += [*body, tags.tag, *closing]
        is_target += [label > 0.5] * len(body) + [False] * (1 + len(closing))
    fitting = [min(max(float(label), 0.0), 1.0) for label in labels[: len(tag_positions)]]
    is_cut = len(fitting) < num_steps
    return Example(ids, next_tokens(ids, is_target), tag_positions, fitting, is_cut=is_cut)


def rewards_at_tags(logits: torch.Tensor, batch: Batch, tags: Tags) -> torch.Tensor:
    """Return the reward r at each tag of a batch.

    Args:
        logits: (places, vocabulary) of a language model, or (places, 1) of a scalar head.
        batch: says which places have a tag.
        tags: token ids of the labels.

    Returns:
        (tags,), unbounded: logit(+) - logit(-), or the scalar head's output.
    """
    at_tags = logits[batch.tagged]
    return at_tags[:, 0] if at_tags.shape[1] == 1 else at_tags[:, tags.good] - at_tags[:, tags.bad]
