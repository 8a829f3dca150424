"""Train a reward model: what :mod:`training.prm` and :mod:`training.orm` share.

Both encode a solution with tags, read one reward a tag and differ in the loss that they promise.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from resources.checkpoints.loading import load
from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from shepherd.verification import auc
from training.loop import train
from training.model_files import load_model
from training.optimization import Objective
from training.packing import IGNORED, Batch, Example
from training.runs import TrainingReport, TrainingRun
from training.step_tags import KIND_FIELD, Tags, encode_tagged, rewards_at_tags

LabelLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of rewards (tags,) against labels (tags,) in [0, 1], summed over the tags."""


def train_reward_model(
    run: TrainingRun, name: str, equation: LabelLoss, *, is_whole: bool = False
) -> TrainingReport:
    """Train on (question, steps, labels) rows, one tag a step, and save the checkpoint.

    Args:
        run: what to train from and on.
        name: title of the progress bar.
        equation: the loss for ``settings.loss: bce``.
        is_whole: whether each row holds one step, the whole solution.
    """
    settings = run.settings
    model, tokenizer = load_base(run.base, settings, run.seed)
    setattr(model.config, KIND_FIELD, "outcome" if is_whole else "process")
    template = open_template(run.template, tokenizer)
    tags = Tags.of(tokenizer, run.base)

    def encode(question: str, steps: list[str], labels: list[float]) -> Example | None:
        prompt = build_prompt(template, question)
        example = encode_tagged(tokenizer, tags, prompt, steps, labels, settings.max_length)
        return example if example.tags else None

    objective = Objective(
        name,
        columns=("question", "steps", "labels"),
        encode=encode,
        loss=partial(reward_loss, tags=tags, settings=settings, equation=equation),
        predict=partial(probabilities, tags=tags),
        metrics=label_metrics,
        reads_targets=settings.lm_weight > 0,
        is_whole=is_whole,
    )
    return train(run, model, tokenizer, objective)


def load_base(
    base: str | Path, settings: TrainingSettings, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the base of a reward model; a scalar head starts from random weights of the seed."""
    torch.manual_seed(seed)
    if settings.head == "tokens":
        return load_model(base)
    config = load(AutoConfig, base)
    config.num_labels, config.classifier_dropout = 1, 0.0
    return load_model(base, AutoModelForTokenClassification, has_new_head=True, config=config)


def reward_loss(
    logits: torch.Tensor,
    batch: Batch,
    tags: Tags,
    settings: TrainingSettings,
    equation: LabelLoss,
) -> torch.Tensor:
    """Return the loss of a batch: its share of the mean over the tags of the whole step.

    ``settings.loss`` selects the equation (``bce``) or the squared error of the probability
    (``mse``). With ``settings.lm_weight`` > 0 the cross entropy of the text of the good steps is
    added, so that the model keeps its language.

    Args:
        logits: (places, vocabulary), or (places, 1) of a scalar head.
        batch: tags, labels and targets of the places, and the counts of the whole step.
        tags: token ids of the labels.
        settings: the loss and its weights.
        equation: equation 1 or 2 of arXiv 2312.08935.
    """
    rewards = rewards_at_tags(logits, batch, tags)
    if settings.loss == "bce":
        loss = equation(rewards, batch.labels)
    else:
        loss = F.mse_loss(torch.sigmoid(rewards), batch.labels, reduction="sum")
    loss = loss / batch.counts.tags
    if settings.lm_weight > 0 and batch.counts.targets:
        text_loss = F.cross_entropy(logits, batch.targets, ignore_index=IGNORED, reduction="sum")
        loss = loss + settings.lm_weight * text_loss / batch.counts.targets
    return loss


def probabilities(logits: torch.Tensor, batch: Batch, tags: Tags) -> torch.Tensor:
    """Return sigmoid(r) and the label of each tag, (tags, 2), both in [0, 1]."""
    return torch.stack([torch.sigmoid(rewards_at_tags(logits, batch, tags)), batch.labels], dim=1)


def label_metrics(predictions: torch.Tensor) -> dict[str, float]:
    """Return accuracy and AUC of (tags, 2) probabilities and labels, both cut at 0.5."""
    probability, label = predictions.T.numpy()
    is_good = label > 0.5
    return {
        "accuracy": float(((probability > 0.5) == is_good).mean()),
        "auc": auc(probability, is_good),
    }
