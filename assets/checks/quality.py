"""Check the quality of results. A failed check warns: rows are sound but may be worth little."""

import dagster as dg
import polars as pl

from assets.checks.structural import partition_check
from assets.deployment import WHOLE_TABLE
from assets.sampling_runs import total
from assets.verification.scoring import reward_model_aucs
from resources.storage.io_manager import Frames
from shepherd.labels import label_accuracy
from shepherd.settings import Settings
from shepherd.verification import count_unscored

MIN_LABEL_AGREEMENT = 0.9
MAX_SHARE_UNFINISHED = 0.05
GENERATOR_ACCURACY = (0.1, 0.9)
"""Outside this range, most problems have only right or only wrong solutions: they teach nothing."""
MIN_AUC = 0.9


def quality_checks_of(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Return the quality checks of all assets that any profile may have."""
    return [
        labels_quality_check(settings),
        generators_check(settings),
        reward_models_check(settings),
        unscored_steps_check(settings),
        *(completions_check(settings, table) for table in ("solutions", "rollouts", "candidates")),
    ]


def warn_unless(holds: bool, /, **numbers: float | None) -> dg.AssetCheckResult:
    """Return the result of a check that blocks nothing."""
    return dg.AssetCheckResult(
        passed=holds,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: number for name, number in numbers.items() if number is not None},
    )


def labels_quality_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check of the labels that reward models are trained on."""
    annotator = settings.annotation.train_on

    @partition_check(settings, "step_labels", "oracle_labels", "steps", blocking=False)
    def hard_labels_agree_with_the_oracle(
        step_labels: Frames, oracle_labels: Frames, steps: Frames
    ) -> dg.AssetCheckResult:
        """Hard labels of training agree on at least 90 % of the steps that are not the last."""
        labels, truth, all_steps = (
            pl.concat(frames.values()) for frames in (step_labels, oracle_labels, steps)
        )
        accuracy = label_accuracy(labels.filter(annotator=annotator), truth, all_steps)
        holds = accuracy.agreement is None or accuracy.agreement >= MIN_LABEL_AGREEMENT
        return warn_unless(holds, **vars(accuracy))

    return hard_labels_agree_with_the_oracle


def generators_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that generators solve some problems and fail on some."""

    @partition_check(settings, "solutions", blocking=False)
    def generators_are_neither_hopeless_nor_perfect(solutions: Frames) -> dg.AssetCheckResult:
        """Between 10 % and 90 % of the draws are right."""
        rows = pl.concat(solutions.values())
        if rows.is_empty():
            return warn_unless(True, draws=0)
        draws = total(rows, "num_samples")
        share = total(rows.filter("is_correct"), "num_samples") / draws
        low, high = GENERATOR_ACCURACY
        return warn_unless(low <= share <= high, draws=draws, share_correct=share)

    return generators_are_neither_hopeless_nor_perfect


def completions_check(settings: Settings, asset: str) -> dg.AssetChecksDefinition:
    """Return the check that few of an asset's completions are cut or name no answer."""

    @partition_check(settings, asset, blocking=False)
    def completions_end_in_answers(completions: Frames) -> dg.AssetCheckResult:
        """At most 5 % were cut at the token limit, and at most 5 % name no answer."""
        frames = completions.values()
        rows = pl.concat(frame.select("answer", "finish_reason") for frame in frames)
        count = max(1, rows.height)
        unanswered = rows["answer"].null_count() / count
        truncated = rows.filter(finish_reason="length").height / count
        return warn_unless(
            max(unanswered, truncated) <= MAX_SHARE_UNFINISHED,
            share_without_answer=unanswered,
            share_truncated=truncated,
        )

    return completions_end_in_answers


def reward_models_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that the PRM ranks candidates well."""

    @dg.asset_check(
        asset="evaluations",
        additional_ins=dict.fromkeys(("candidates", "candidate_scores"), WHOLE_TABLE),
    )
    def reward_models_rank_right_above_wrong(
        candidates: pl.DataFrame, candidate_scores: pl.DataFrame
    ) -> dg.AssetCheckResult:
        """The PRM's AUC among the candidates of one problem is at least 0.9."""
        aucs = reward_model_aucs(candidates, candidate_scores, settings.verification.aggregation)
        holds = aucs.get("process_reward_model", 1.0) >= MIN_AUC
        return warn_unless(holds, **aucs)

    return reward_models_rank_right_above_wrong


def unscored_steps_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that reward models read candidates to the end."""

    @partition_check(settings, "candidate_scores", blocking=False)
    def all_steps_are_scored(candidate_scores: Frames) -> dg.AssetCheckResult:
        """No step is past the window of a reward model; candidates with such steps rank last."""
        frames = candidate_scores.values()
        counts = pl.concat(count_unscored(frame["step_scores"]) for frame in frames)
        return warn_unless(
            counts.sum() == 0,
            unscored_steps=int(counts.sum()),
            unscored_candidates=int((counts > 0).sum()),
        )

    return all_steps_are_scored
