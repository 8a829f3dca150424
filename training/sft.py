"""Supervised fine-tuning: a base model learns to write solutions.

python -m training sft --base BASE --data problems.parquet --out models/generator
"""

from pathlib import Path

import polars as pl
import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from training import loop
from training.continuation import continuation
from training.packing import IGNORED, Batch, Example, next_tokens
from training.plans import rows


def encode(tokenizer: PreTrainedTokenizerBase, prompt: str, solution: str) -> Example:
    """Return prompt and solution as one sequence; only the solution and its end are targets."""
    prompt_ids, solution_ids, _ = continuation(tokenizer, prompt, solution)
    ids = [*prompt_ids, *solution_ids, tokenizer.eos_token_id]
    counts = [False] * len(prompt_ids) + [True] * (len(solution_ids) + 1)
    return Example(ids, next_tokens(ids, counts), tags=[], labels=[])


def sft_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross entropy of the tokens of the solutions, mean over those of the step."""
    total = F.cross_entropy(logits, batch.targets, ignore_index=IGNORED, reduction="sum")
    return total / batch.counts.targets


def predicted_tokens(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the likeliest token and the right one at each target, (targets, 2)."""
    return torch.stack([logits.argmax(-1), batch.targets], dim=1)


def token_accuracy(predictions: torch.Tensor) -> dict[str, float]:
    """Return the share of tokens that are foretold."""
    return {"accuracy": (predictions[:, 0] == predictions[:, 1]).float().mean().item()}


OBJECTIVE = loop.Objective(sft_loss, predicted_tokens, token_accuracy)


def train_sft(
    base: str | Path,
    examples: pl.LazyFrame | pl.DataFrame,
    out: Path,
    settings: TrainingSettings,
    *,
    template: str,
    seed: int,
    held_out: pl.LazyFrame | pl.DataFrame | None = None,
    work: Path | None = None,
) -> loop.TrainingReport:
    """Fine-tune ``base`` on (question, solution) rows and save the checkpoint to ``out``.

    Sequences over ``settings.max_length`` tokens are left out and counted (``num_cut``).
    ``held_out`` and ``work`` are as in :func:`training.loop.train`.
    """
    model, tokenizer = loop.load(base)
    template = open_template(template, tokenizer)

    def encode_row(question: str, solution: str) -> Example | None:
        example = encode(tokenizer, build_prompt(template, question), solution)
        return example if len(example.ids) <= settings.max_length else None

    return loop.train(
        model,
        tokenizer,
        (encode_row(*row) for row in rows(examples, "question", "solution")),
        OBJECTIVE,
        settings,
        out,
        base=base,
        seed=seed,
        name="SFT",
        held_out=(encode_row(*row) for row in rows(held_out, "question", "solution")),
        work=work,
    )
