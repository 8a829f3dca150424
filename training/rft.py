"""Train by rejection-sampling fine-tuning (RFT): a generator learns from its own right solutions.

    python -m training rft --base BASE --data problems.parquet --draws draws.parquet --out OUT

RFT selects the right draws of each question, one for each way of reasoning, and fine-tunes the
base anew on them and on the gold solutions (arXiv 2308.01825). arXiv 2312.08935 draws eight
solutions a question.
"""

from dataclasses import replace

import polars as pl

from shepherd.repeats import distinct_solutions
from training.runs import TrainingReport, TrainingRun
from training.sft import train_sft


def train_rft(run: TrainingRun, draws: pl.DataFrame) -> TrainingReport:
    """Fine-tune on the gold solutions of ``run.examples`` and on the right, distinct draws.

    Args:
        run: its examples are gold rows of (question, solution).
        draws: rows of (problem_id, question, text, is_correct).
    """
    return train_sft(replace(run, examples=rft_examples(run.examples, draws)))


def rft_examples(gold: pl.LazyFrame | pl.DataFrame, draws: pl.DataFrame) -> pl.DataFrame:
    """Return what RFT trains on: gold rows of (question, solution) and right, distinct draws."""
    distinct = distinct_solutions(draws).select("question", solution="text")
    # A draw may equal the gold solution character for character.
    selected = gold.lazy().select("question", "solution").collect()
    return pl.concat([selected, distinct]).unique(maintain_order=True)
