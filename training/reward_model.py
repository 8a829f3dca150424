"""How a language model scores steps: a tag after each step, and one probability there.

As in the published Math-Shepherd PRM, the tag ``ки`` closes a step and the score is the softmax
over the tokens ``+`` and ``-`` at the tag. Written as a reward r = logit(+) - logit(-), this is
the sigmoid(r) of equations 1 and 2 of arXiv 2312.08935. With a scalar head r is its one output
at the tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import torch
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from shepherd.label_formats import TAG_WORD
from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from shepherd.verification import auc
from training import loop
from training.packing import IGNORED, Batch, Example, next_tokens
from training.plans import rows

STEP_TAG, GOOD, BAD = f" {TAG_WORD}", "+", "-"
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
    bodies = [step.rstrip() for step in steps]
    ends = [step[len(body) :] for step, body in zip(steps, bodies, strict=True)]
    texts = [*bodies, *ends]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    pairs = zip(encoded[: len(steps)], encoded[len(steps) :], strict=True)
    for (body, closing), label in zip(pairs, labels, strict=True):
        if len(ids) + len(body) + 1 > max_length:
            break
        places.append(len(ids) + len(body))
        ids += [*body, tags.tag, *closing]
        counts += [label > 0.5] * len(body) + [False] * (1 + len(closing))
    kept = [float(label) for label in labels[: len(places)]]
    return Example(ids, next_tokens(ids, counts), places, kept, is_cut=len(kept) < len(steps))


def rewards(logits: torch.Tensor, batch: Batch, tags: Tags) -> torch.Tensor:
    """Return r at each tag, (tags of the batch,): logit(+) - logit(-), or the scalar head's."""
    at_tags = logits[batch.tagged]
    return at_tags[:, 0] if at_tags.shape[1] == 1 else at_tags[:, tags.good] - at_tags[:, tags.bad]


def reward_loss(
    logits: torch.Tensor, batch: Batch, tags: Tags, settings: TrainingSettings
) -> torch.Tensor:
    """Binary cross entropy of sigmoid(r) against the labels, mean over the tags of the step.

    Equation 2 of arXiv 2312.08935 where every step has a tag, equation 1 where only the solution
    has one; soft labels (eq. 4) are its y as well. With ``settings.loss`` mse it is the squared
    error of sigmoid(r). With ``lm_weight`` > 0 the model also goes on predicting the text of the
    good steps.
    """
    found = rewards(logits, batch, tags)
    if settings.loss == "bce":
        loss = F.binary_cross_entropy_with_logits(found, batch.labels, reduction="sum")
    else:
        loss = F.mse_loss(torch.sigmoid(found), batch.labels, reduction="sum")
    loss = loss / batch.counts.tags
    if settings.lm_weight > 0 and batch.counts.targets:
        text = F.cross_entropy(logits, batch.targets, ignore_index=IGNORED, reduction="sum")
        loss = loss + settings.lm_weight * text / batch.counts.targets
    return loss


def probabilities(logits: torch.Tensor, batch: Batch, tags: Tags) -> torch.Tensor:
    """Return sigmoid(r) and the label of each tag, (tags, 2)."""
    return torch.stack([torch.sigmoid(rewards(logits, batch, tags)), batch.labels], dim=1)


def label_accuracy(predictions: torch.Tensor) -> dict[str, float]:
    """Return the share of labels on whose side of 0.5 the probability is, and the AUC of these."""
    probability, label = predictions.T.numpy()
    right = label > 0.5
    return {
        "accuracy": float(((probability > 0.5) == right).mean()),
        "auc": auc(probability, right),
    }


def objective(tags: Tags, settings: TrainingSettings) -> loop.Objective:
    """Return what a reward model is trained for and how it is evaluated."""
    return loop.Objective(
        partial(reward_loss, tags=tags, settings=settings),
        partial(probabilities, tags=tags),
        label_accuracy,
    )


def load_base(
    base: str | Path, settings: TrainingSettings, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model to train a reward model from; a scalar head starts at random, by seed."""
    torch.manual_seed(seed)
    if settings.head == "tokens":
        return loop.load(base)
    config = AutoConfig.from_pretrained(base)
    config.num_labels, config.classifier_dropout = 1, 0.0
    return loop.load(base, AutoModelForTokenClassification, config=config)


def train_reward_model(
    base: str | Path,
    examples: pl.LazyFrame | pl.DataFrame,
    out: Path,
    settings: TrainingSettings,
    *,
    name: str,
    template: str,
    seed: int,
    held_out: pl.LazyFrame | pl.DataFrame | None = None,
    work: Path | None = None,
) -> loop.TrainingReport:
    """Train on (question, steps, labels) rows, one tag a step, and save the checkpoint to ``out``.

    ``held_out`` and ``work`` are as in :func:`training.loop.train`.
    """
    model, tokenizer = load_base(base, settings, seed)
    template = open_template(template, tokenizer)
    tags = Tags.of(tokenizer)

    def encode_row(question: str, steps: list[str], labels: list[float]) -> Example | None:
        prompt = build_prompt(template, question)
        example = encode_tagged(tokenizer, tags, prompt, steps, labels, settings.max_length)
        return example if example.tags else None

    columns = ("question", "steps", "labels")
    return loop.train(
        model,
        tokenizer,
        (encode_row(*row) for row in rows(examples, *columns)),
        objective(tags, settings),
        settings,
        out,
        base=base,
        seed=seed,
        name=name,
        held_out=(encode_row(*row) for row in rows(held_out, *columns)),
        work=work,
    )
