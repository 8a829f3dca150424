"""Process reward model: a probability for every step that it can still reach the answer.

    python -m training prm --base BASE --data labeled_solutions.parquet --out models/prm

Equation 2 of arXiv 2312.08935: the sum over the steps i of a solution of
y_i log r_i + (1 - y_i) log(1 - r_i), with y_i the label of step i, hard (eq. 3) or soft (eq. 4),
and r_i the sigmoid score at its tag.
"""

from pathlib import Path

import polars as pl

from shepherd.settings import TrainingSettings
from training import loop
from training.reward_model import train_reward_model


def train_prm(
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

    Solutions of which some steps do not fit into ``settings.max_length`` are counted
    (``num_cut``); the steps that fit are kept.
    ``held_out`` and ``work`` are as in :func:`training.loop.train`.
    """
    return train_reward_model(
        base,
        examples,
        out,
        settings,
        name="train PRM",
        template=template,
        seed=seed,
        held_out=held_out,
        work=work,
    )
