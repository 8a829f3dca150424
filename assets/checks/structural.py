"""Check the structure of tables. A failed check blocks the assets that read the table.

Schemas, nulls and keys are checked when a frame is written.
"""

import inspect
from collections.abc import Callable
from functools import partial

import dagster as dg
import polars as pl

from assets.deployment import models_of, partitions_of
from assets.describe import preview
from assets.verification.scoring import REWARD_MODELS
from resources.storage.io_manager import (
    Frames,
    MetadataField,
    ParquetIOManager,
    Partition,
    each,
)
from shepherd import violations
from shepherd.settings import Settings

PARTITIONS_KEY = "partitions"
"""The metadata field of a check that names the partitions with failing rows."""

CheckBody = Callable[..., dg.AssetCheckResult]


def structural_checks_of(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Return the structural checks of all assets that any profile may have."""
    makers = (
        solutions_check,
        steps_check,
        rollouts_check,
        labels_check,
        candidates_check,
        scores_check,
    )
    return [make(settings) for make in makers]


def partition_check(
    settings: Settings, asset: str, *others: str, blocking: bool
) -> Callable[[CheckBody], dg.AssetChecksDefinition]:
    """Decorate a check of each partition of an asset. ``others`` are further assets it reads.

    The body takes the :class:`Frames` of these assets by name. Dagster could load them only for
    the partitions of a run, and *Execute all* starts a run without any: it checks all partitions
    that the lake has.
    """

    def decorate(body: CheckBody) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            name=body.__name__,
            description=inspect.getdoc(body),
            asset=asset,
            blocking=blocking,
            additional_deps=others,
            partitions_def=partitions_of(settings),
        )
        def check(
            context: dg.AssetCheckExecutionContext, io_manager: dg.ResourceParam[ParquetIOManager]
        ) -> dg.AssetCheckResult:
            chosen = partitions_of_run(context)
            partitions = chosen or io_manager.partitions(asset)
            result = body(*(io_manager.frames(name, partitions) for name in (asset, *others)))
            return result if chosen else ResultOfAll.of(result)

        return check

    return decorate


class ResultOfAll(dg.AssetCheckResult):
    """The result of a check of partitions in a run that was started without any."""

    @classmethod
    def of(cls, result: dg.AssetCheckResult) -> "ResultOfAll":
        """Return a result as that of all partitions."""
        return cls(passed=result.passed, severity=result.severity, metadata=result.metadata)

    def _get_target_materialization_data(self, step_context: object, check_key: object) -> None:
        """Name no materialization: Dagster looks for that of the run's partition and fails.

        It then compares the times of materialization and check instead.
        """


def partitions_of_run(context: dg.AssetCheckExecutionContext) -> tuple[Partition, ...]:
    """Return the partitions of a run in order; none if it was started without."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return ()
    return tuple(Partition.of(key) for key in sorted(context.partition_keys))


def no_rows(failing: Frames) -> dg.AssetCheckResult:
    """Pass if no partition has a failing row; else show the first ones, and their partitions."""
    frames = dict(failing)
    rows = pl.concat(frames.values())
    metadata: dict[str, MetadataField] = {"failing_rows": rows.height}
    if rows.height:
        metadata["first_rows"] = dg.MetadataValue.md(preview(rows))
        keys = (partition.key for partition, frame in frames.items() if frame.height)
        metadata[PARTITIONS_KEY] = ", ".join(keys)
    return dg.AssetCheckResult(passed=rows.is_empty(), metadata=metadata)


def solutions_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that solutions were sampled as often as the settings say."""

    @partition_check(settings, "solutions", "problems", blocking=True)
    def every_train_problem_was_sampled(solutions: Frames, problems: Frames) -> dg.AssetCheckResult:
        """Each train problem was drawn as often as the profile says; no problem is unknown."""

        def failing(at: Partition) -> pl.DataFrame:
            draws, known = solutions[at], problems[at]
            unknown = violations.of_unknown_problems(draws, known)
            dataset = settings.datasets[at.dataset]
            if unknown.height or dataset.solutions or not dataset.is_annotated:
                return unknown.select("problem_id", "generator")
            return violations.not_drawn(
                known.filter(split="train"),
                draws,
                settings.generators_of("train"),
                settings.sampling.samples_per_problem,
            ).select("problem_id", "generator")

        return no_rows(Frames(solutions.partitions, failing))

    return every_train_problem_was_sampled


def steps_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that steps join to their solutions."""

    @partition_check(settings, "steps", "solutions", blocking=True)
    def steps_rebuild_their_solutions(steps: Frames, solutions: Frames) -> dg.AssetCheckResult:
        """The steps of each solution are numbered from 1, and joined they are its text."""
        return no_rows(each(violations.not_rebuilt, steps, solutions))

    return steps_rebuild_their_solutions


def rollouts_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that rollouts have no gaps."""
    count = settings.annotation.max_rollouts
    not_counted = partial(violations.not_counted_through, num_rollouts=count)

    @partition_check(settings, "rollouts", blocking=True)
    def rollouts_are_counted_through(rollouts: Frames) -> dg.AssetCheckResult:
        """The rollouts of each prefix are numbered from 0 without a gap, and are at most N."""
        return no_rows(each(not_counted, rollouts))

    return rollouts_are_counted_through


def labels_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that no solution is labelled in part."""
    annotators = [*settings.annotation.names, "consensus"]
    not_labelled = partial(violations.not_labelled, annotators=annotators)

    @partition_check(settings, "step_labels", "steps", blocking=True)
    def solutions_are_labelled_whole(step_labels: Frames, steps: Frames) -> dg.AssetCheckResult:
        """Each annotator labels all steps of a solution or none, and every label has its step."""
        return no_rows(each(not_labelled, step_labels, steps))

    return solutions_are_labelled_whole


def candidates_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that candidates were sampled as often as the settings say."""

    def not_drawn(candidates: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
        return violations.not_drawn(
            problems.filter(split="test"),
            candidates.with_columns(num_samples=1),
            settings.candidate_generators,
            settings.sampling.num_candidates,
        )

    @partition_check(settings, "candidates", "problems", blocking=True)
    def every_test_problem_was_sampled(candidates: Frames, problems: Frames) -> dg.AssetCheckResult:
        """Each generator drew as many candidates of each test problem as the profile says."""
        return no_rows(each(not_drawn, candidates, problems))

    return every_test_problem_was_sampled


def scores_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that every candidate has its scores."""
    num_scores = {
        name: 1 if REWARD_MODELS[name] == "outcome" else None
        for name in models_of(settings)
        if name in REWARD_MODELS
    }

    @partition_check(settings, "candidate_scores", "candidates", blocking=True)
    def every_candidate_was_scored(
        candidate_scores: Frames, candidates: Frames
    ) -> dg.AssetCheckResult:
        """Each candidate has one score a step by the PRM, and one in all by the ORM."""

        def failing(at: Partition) -> pl.DataFrame:
            method = settings.datasets[at.dataset].splitting.rule
            return violations.not_scored(candidate_scores[at], candidates[at], num_scores, method)

        return no_rows(Frames(candidates.partitions, failing))

    return every_candidate_was_scored
