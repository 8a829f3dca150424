"""Open a reward model as a profile says, and score a table of solutions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import polars as pl
from transformers import AutoConfig

from resources.checkpoints.loading import load
from shepherd.settings import ScoringSettings
from training.scoring.copies import CopiedScorer
from training.scoring.formats import check_is_reward_model
from training.scoring.kinds import Kind
from training.scoring.scorer import Scorer


class StepScorer(Protocol):
    """A reward model on one device or several."""

    def score(
        self,
        questions: Sequence[str],
        steps: Sequence[Sequence[str]],
        *,
        description: str | None = None,
    ) -> list[list[float | None]]:
        """Return the score of each step, as :meth:`Scorer.score` does."""

    def close(self) -> None:
        """Free the models."""


def open_scorer(
    model: str | Path,
    settings: ScoringSettings,
    *,
    kind: Kind,
    template: str,
    max_length: int | None,
) -> StepScorer:
    """Open a reward model with transformers on one GPU or several, or with vLLM.

    Raises:
        ValueError: the checkpoint is none that can be scored with or, with the format ``auto``,
            does not show that it is a reward model; there are fewer GPUs than copies, or vLLM is
            not installed or refuses it.
    """
    if settings.format == "auto":
        check_is_reward_model(model, load(AutoConfig, model), kind)
    if settings.engine == "transformers" and settings.num_copies > 1:
        return CopiedScorer(
            model,
            settings,
            kind=kind,
            template=template,
            max_length=max_length,
        )
    return Scorer(
        model,
        kind=kind,
        template=template,
        max_length=max_length,
        format=settings.format,
        vllm=settings.vllm if settings.engine == "vllm" else None,
    )


def score_solutions(
    model: str | Path,
    solutions: pl.DataFrame,
    *,
    kind: Kind,
    template: str,
    max_length: int | None = None,
    settings: ScoringSettings | None = None,
) -> pl.DataFrame:
    """Return (candidate_id, step_scores) for rows of (candidate_id, question, steps)."""
    scorer = open_scorer(
        model, settings or ScoringSettings(), kind=kind, template=template, max_length=max_length
    )
    try:
        scores = scorer.score(
            solutions["question"].to_list(),
            solutions["steps"].to_list(),
            description=f"score {kind}",
        )
    finally:
        scorer.close()
    return solutions.select(
        "candidate_id", pl.Series("step_scores", scores, dtype=pl.List(pl.Float64))
    )
