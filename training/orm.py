"""Outcome reward model: one probability for a whole solution that its answer is right.

    python -m training orm --base BASE --data labeled_solutions.parquet --out models/orm

Equation 1 of arXiv 2312.08935: y log r + (1 - y) log(1 - r), once per solution, with y its
correctness and r the sigmoid score at the tag that closes it.
"""

from pathlib import Path

import polars as pl

from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from training import loop
from training.packing import Example
from training.plans import rows
from training.reward_model import Tags, encode_tagged, load_base, objective


def train_orm(
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
    """Train on (question, steps, labels) rows and save the checkpoint to ``out``.

    A solution is one untagged text here: it is one "step" with one tag at its end, and its label
    is its correctness (:func:`shepherd.training_sets.outcome_examples`). Solutions over
    ``settings.max_length`` tokens are left out and counted (``num_cut``).
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
        name="train ORM",
        held_out=(encode_row(*row) for row in rows(held_out, *columns)),
        work=work,
    )
