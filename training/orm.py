"""Outcome reward model: one probability for a whole solution that its answer is right.

    python -m training orm --base BASE --data labeled_solutions.parquet --out models/orm

Equation 1 of arXiv 2312.08935: y log r + (1 - y) log(1 - r), once per solution, with y its
correctness and r the sigmoid score at the tag that closes it.
"""

from pathlib import Path

import polars as pl

from shepherd.settings import TrainingSettings
from training import loop
from training.reward_model import train_reward_model


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
    return train_reward_model(
        base,
        examples,
        out,
        settings,
        name="train ORM",
        template=template,
        seed=seed,
        held_out=held_out,
        work=work,
    )
