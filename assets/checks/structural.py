"""Structural checks: what must hold for the next stage to mean anything. A failure blocks it.

Schemas, nulls and keys are not here: a frame that breaks them is refused when it is written.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from assets.deployment import PARTITIONS, SETTINGS, models_of
from assets.describe import preview
from assets.verification.scoring import REWARD_MODELS
from resources.storage.io_manager import Frames, Partition, each
from shepherd import violations


def partition_check(
    asset: str, *others: str, blocking: bool
) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """Decorate a check of each partition of an asset that also reads other assets."""
    return dg.asset_check(
        asset=asset,
        blocking=blocking,
        additional_ins={name: dg.AssetIn(name) for name in others},
        partitions_def=PARTITIONS,
    )


def no_rows(failing: Frames) -> dg.AssetCheckResult:
    """Pass if no partition has a failing row; else show the first ones."""
    rows = pl.concat(failing.values())
    metadata: dict[str, Any] = {"failing_rows": rows.height}
    if rows.height:
        metadata["first_rows"] = dg.MetadataValue.md(preview(rows))
    return dg.AssetCheckResult(passed=rows.is_empty(), metadata=metadata)


@partition_check("solutions", "problems", blocking=True)
def every_train_problem_was_sampled(solutions: Frames, problems: Frames) -> dg.AssetCheckResult:
    """Each generator drew as often as the profile says. Imported solutions name a known problem."""

    def failing(partition: Partition) -> pl.DataFrame:
        drawn, asked = solutions[partition], problems[partition]
        unknown = violations.of_unknown_problems(drawn, asked).select("problem_id", "generator")
        dataset = SETTINGS.datasets[partition.dataset]
        if dataset.solutions or not dataset.is_annotated:
            return unknown
        return (
            unknown
            if unknown.height
            else violations.not_drawn(
                asked.filter(split="train"),
                drawn,
                SETTINGS.generators_of("train"),
                SETTINGS.sampling.samples_per_problem,
            ).select("problem_id", "generator")
        )

    return no_rows(Frames(solutions.partitions, failing))


@partition_check("steps", "solutions", blocking=True)
def steps_rebuild_their_solutions(steps: Frames, solutions: Frames) -> dg.AssetCheckResult:
    """Numbered from 1 and joined, the steps of each solution are its text."""
    return no_rows(each(violations.not_rebuilt, steps, solutions))


@partition_check("rollouts", blocking=True)
def rollouts_are_counted_through(rollouts: Frames) -> dg.AssetCheckResult:
    """The rollouts of each prefix are numbered from 0 without a gap, and are at most N."""
    count = SETTINGS.annotation.max_rollouts
    return no_rows(each(partial(violations.not_counted_through, num_rollouts=count), rollouts))


@partition_check("step_labels", "steps", blocking=True)
def solutions_are_labelled_whole(step_labels: Frames, steps: Frames) -> dg.AssetCheckResult:
    """An annotator of the profile labels all steps of a solution or none; no label lacks a step."""
    names = [*SETTINGS.annotation.names, "consensus"]
    return no_rows(each(partial(violations.not_labelled, annotators=names), step_labels, steps))


@partition_check("candidates", "problems", blocking=True)
def every_test_problem_was_sampled(candidates: Frames, problems: Frames) -> dg.AssetCheckResult:
    """Each generator drew as many candidates of each test problem as the profile says."""
    return no_rows(
        each(
            lambda drawn, asked: violations.not_drawn(
                asked.filter(split="test"),
                drawn.with_columns(num_samples=1),
                SETTINGS.candidate_generators,
                SETTINGS.sampling.num_candidates,
            ),
            candidates,
            problems,
        )
    )


@partition_check("candidate_scores", "candidates", blocking=True)
def every_candidate_was_scored(candidate_scores: Frames, candidates: Frames) -> dg.AssetCheckResult:
    """Process reward models score each step of each candidate, outcome reward models the whole."""
    num_scores = {
        name: 1 if REWARD_MODELS[name] == "outcome" else None
        for name in models_of(SETTINGS)
        if name in REWARD_MODELS
    }

    def failing(at: Partition) -> pl.DataFrame:
        method = SETTINGS.datasets[at.dataset].splitting.method
        return violations.not_scored(candidate_scores[at], candidates[at], num_scores, method)

    return no_rows(Frames(candidates.partitions, failing))


STRUCTURAL_CHECKS = [
    every_train_problem_was_sampled,
    steps_rebuild_their_solutions,
    rollouts_are_counted_through,
    solutions_are_labelled_whole,
    every_test_problem_was_sampled,
    every_candidate_was_scored,
]
