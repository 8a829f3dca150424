"""Supervised fine-tuning: a base model learns to write solutions.

python -m training sft --base BASE --data solutions.parquet --out models/generator
"""

from pathlib import Path

import polars as pl
import torch
from torch.nn import functional as F

from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from training import loop


def encode(tokenizer, prompt: str, solution: str) -> loop.Example:  # type: ignore[no-untyped-def]
    """Return prompt and solution as one sequence; only the solution and its end are targets."""
    prompt_ids = tokenizer.encode(prompt)
    solution_ids = [*tokenizer.encode(solution, add_special_tokens=False), tokenizer.eos_token_id]
    ids = prompt_ids + solution_ids
    counts = [False] * len(prompt_ids) + [True] * len(solution_ids)
    return loop.Example(ids, loop.next_tokens(ids, counts), tags=[], labels=[])


def sft_loss(logits: torch.Tensor, batch: loop.Batch) -> torch.Tensor:
    """Mean cross entropy over the tokens of the solutions."""
    kept = batch.targets != loop.IGNORED
    return F.cross_entropy(logits[kept], batch.targets[kept])


def train_sft(
    base: str | Path,
    examples: pl.DataFrame,
    out: Path,
    settings: TrainingSettings,
    *,
    template: str,
    seed: int,
) -> loop.TrainingReport:
    """Fine-tune ``base`` on (question, solution) rows and save the checkpoint to ``out``.

    Sequences over ``settings.max_length`` tokens are left out and counted (``num_cut``).
    """
    model, tokenizer = loop.load(base)
    template = open_template(template, tokenizer)
    encoded = [
        encode(tokenizer, build_prompt(template, question), solution)
        for question, solution in examples.select("question", "solution").iter_rows()
    ]
    fitting = [example for example in encoded if len(example.ids) <= settings.max_length]
    report = loop.train(
        model,
        fitting,
        sft_loss,
        settings,
        pad_id=tokenizer.pad_token_id,
        seed=seed,
        name="SFT",
        num_cut=len(encoded) - len(fitting),
    )
    loop.save(model, tokenizer, out)
    return report
