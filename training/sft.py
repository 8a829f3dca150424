"""Train by supervised fine-tuning (SFT): a base model learns to write solutions.

python -m training sft --base BASE --data problems.parquet --out models/generator
"""

import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from shepherd.prompts import build_prompt, open_template
from shepherd.thoughts import behind_opening
from training.continuation import encode_continuation, require_end_token
from training.loop import train
from training.model_files import load_model
from training.optimization import Objective
from training.packing import IGNORED, Batch, Example, next_tokens
from training.runs import TrainingReport, TrainingRun


def encode(tokenizer: PreTrainedTokenizerBase, prompt: str, solution: str) -> Example:
    """Return prompt and solution as one sequence; the solution and its end token are targets."""
    prompt_ids, solution_ids, _ = encode_continuation(tokenizer, prompt, solution)
    ids = [*prompt_ids, *solution_ids, tokenizer.eos_token_id]
    is_target = [False] * len(prompt_ids) + [True] * (len(solution_ids) + 1)
    return Example(ids, next_tokens(ids, is_target), tags=[], labels=[])


def sft_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the cross entropy of the solutions' tokens, as a share of the step's mean.

    ``logits`` are (targets, vocabulary). The sum is divided by the targets of the whole step.
    """
    total = F.cross_entropy(logits, batch.targets, ignore_index=IGNORED, reduction="sum")
    return total / batch.counts.targets


def predicted_tokens(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the most likely token and the true token at each target, (targets, 2)."""
    return torch.stack([logits.argmax(-1), batch.targets], dim=1)


def token_metrics(predictions: torch.Tensor) -> dict[str, float]:
    """Return the share of (targets, 2) predictions whose most likely token is the true one."""
    return {"accuracy": (predictions[:, 0] == predictions[:, 1]).float().mean().item()}


def train_sft(run: TrainingRun) -> TrainingReport:
    """Fine-tune on (question, solution) rows and save the checkpoint to ``run.out``.

    Sequences over ``settings.max_length`` tokens are left out, and counted in the report
    (``num_cut``).
    """
    model, tokenizer = load_model(run.base)
    require_end_token(tokenizer)
    template = open_template(run.template, tokenizer)

    def encode_row(question: str, solution: str) -> Example | None:
        prompt = build_prompt(template, question)
        example = encode(tokenizer, prompt, behind_opening(prompt, solution))
        return example if len(example.ids) <= run.settings.max_length else None

    objective = Objective(
        "SFT",
        columns=("question", "solution"),
        encode=encode_row,
        loss=sft_loss,
        predict=predicted_tokens,
        metrics=token_metrics,
    )
    return train(run, model, tokenizer, objective)
