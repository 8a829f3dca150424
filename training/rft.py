"""Rejection-sampling fine-tuning: a generator learns from its own right solutions.

    python -m training rft --base BASE --data problems.parquet --draws draws.parquet --out OUT

Of the draws for each question the right ones are kept, once for each way of reasoning, and the
base is fine-tuned anew on them and the gold solutions (arXiv 2308.01825; eight draws a question
in arXiv 2312.08935).
"""

from pathlib import Path

import polars as pl

from shepherd.repeats import distinct_solutions
from shepherd.settings import TrainingSettings
from training.loop import TrainingReport
from training.sft import train_sft


def train_rft(
    base: str | Path,
    gold: pl.DataFrame,
    draws: pl.DataFrame,
    out: Path,
    settings: TrainingSettings,
    *,
    template: str,
    seed: int,
    work: Path | None = None,
) -> TrainingReport:
    """Fine-tune ``base`` on gold (question, solution) rows and on the right ones of the draws.

    Draws are rows of problem_id, question, text and is_correct; ``work`` is as in
    :func:`training.loop.train`.
    """
    kept = distinct_solutions(draws).select("question", solution="text")
    examples = pl.concat([gold.select("question", "solution"), kept])
    # A draw may be the gold solution to the letter.
    examples = examples.unique(maintain_order=True)
    return train_sft(base, examples, out, settings, template=template, seed=seed, work=work)
