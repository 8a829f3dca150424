"""Collect the facts of a dataset card from settings and tables."""

from collections.abc import Mapping

import polars as pl

from assets.deployment import models_of
from assets.verification.scoring import REWARD_MODELS
from shepherd.dataset_card import CardFacts
from shepherd.labels import label_accuracies
from shepherd.schemas import (
    CRITIQUE_COSTS,
    ENTAILMENT_COSTS,
    ORACLE_LABELS,
    ROLLOUT_COSTS,
    SOLUTION_COSTS,
    STEP_LABELS,
    STEPS,
)
from shepherd.settings import ExportSettings, Settings


def card_facts(
    settings: Settings, name: str, export: ExportSettings, tables: Mapping[str, pl.DataFrame]
) -> CardFacts:
    """Return the facts of an export's card. Of published labels only the source is known.

    ``tables`` holds the cost tables; and for word problems also ``oracle_labels``,
    ``step_labels`` and ``steps``.
    """
    if not tables or export.annotator in settings.published_annotators:
        return CardFacts(title=name, license=export.license, source=export.source)
    sampling = settings.sampling
    return CardFacts(
        title=name,
        license=export.license,
        source=export.source,
        models={
            model: model_settings.base
            for model, model_settings in models_of(settings).items()
            if model not in REWARD_MODELS
        },
        sampling={
            "solutions a problem, of each generator": sampling.samples_per_problem,
            "completions of a step, at most": settings.annotation.max_rollouts,
            "temperature of solutions": sampling.temperature,
            "temperature of completions": sampling.rollout_temperature,
            "tokens of a completion, at most": sampling.max_tokens,
            **_nucleus("solutions", sampling.top_p),
            **_nucleus("completions", sampling.rollout_top_p),
        },
        seed=settings.seed,
        cost=costs_of(tables),
        quality=quality_of(tables, export.annotator),
    )


def _nucleus(draws: str, top_p: float) -> dict[str, float]:
    """Return the share of the probability from which tokens were drawn, if not from all."""
    return {f"top-p of {draws}": top_p} if top_p < 1 else {}


def costs_of(tables: Mapping[str, pl.DataFrame]) -> dict[str, float]:
    """Return completions, tokens and seconds of each sampling stage."""
    costs: dict[str, float] = {}
    for table in (SOLUTION_COSTS, ROLLOUT_COSTS, CRITIQUE_COSTS, ENTAILMENT_COSTS):
        if table.name not in tables:
            continue
        totals = (
            tables[table.name]
            .group_by("stage", maintain_order=True)
            .agg(pl.col("num_requests", "completion_tokens", "seconds").sum())
        )
        for stage, *values in totals.iter_rows():
            for unit, value in zip(("completions", "tokens", "seconds"), values, strict=True):
                costs[f"{stage}: {unit}"] = value
    return costs


def quality_of(tables: Mapping[str, pl.DataFrame], annotator: str | None) -> dict[str, float]:
    """Return the agreement of each annotator with the oracle, where there is one."""
    if ORACLE_LABELS.name not in tables:
        return {}
    labels = tables[STEP_LABELS.name]
    if annotator is not None:
        labels = labels.filter(annotator=annotator)
    accuracies = label_accuracies(labels, tables[ORACLE_LABELS.name], tables[STEPS.name])
    return {
        f"{name}: agreement with the oracle": accuracy.agreement
        for name, accuracy in sorted(accuracies.items())
        if accuracy.agreement is not None
    }
