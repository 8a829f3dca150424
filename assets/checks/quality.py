"""Check the quality of results. A failed check warns: rows are sound but may be worth little."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.annotation.pilot import learned
from assets.checks.structural import partition_check
from assets.deployment import ALL_PARTITIONS, WHOLE_TABLE
from assets.sampling_runs import total
from assets.verification.scoring import reward_model_aucs
from resources.storage.io_manager import Frames
from shepherd.annotators.plausibility import (
    Success,
    share_wrong_of_right_solutions,
    success_of_right_solutions,
)
from shepherd.labels import label_accuracy
from shepherd.schemas import PILOT_RATES, PILOT_ROLLOUTS
from shepherd.settings import Settings
from shepherd.verification import count_unscored

MIN_LABEL_AGREEMENT = 0.9
MAX_SHARE_UNFINISHED = 0.05
GENERATOR_ACCURACY = (0.1, 0.9)
"""Outside this range, most problems have only right or only wrong solutions: they teach nothing."""
MIN_AUC = 0.9
MAX_SHARE_WRONG = 0.2
"""Of the steps of right solutions. About 5 % of GSM8K's right answers follow from a wrong step."""
MAX_GAP, MIN_ROLLOUTS = 0.2, 50
"""Between the success rate of rollouts and the assumed one, and the fewest rollouts to judge by."""


def quality_checks_of(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Return the quality checks of all assets that any profile may have."""
    return [
        labels_quality_check(settings),
        right_solutions_check(settings),
        rates_check(settings),
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


def right_solutions_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that annotators call few steps of right solutions wrong."""

    @partition_check(settings, "step_labels", "steps", "solutions", blocking=False)
    def right_solutions_have_few_wrong_steps(
        step_labels: Frames, steps: Frames, solutions: Frames
    ) -> dg.AssetCheckResult:
        """Each annotator labels at most 20 % of the steps of right solutions wrong."""
        labels, all_steps, texts = (
            pl.concat(frames.values()) for frames in (step_labels, steps, solutions)
        )
        shares = share_wrong_of_right_solutions(labels, all_steps, texts)
        holds = max(shares.values(), default=0.0) <= MAX_SHARE_WRONG
        return warn_unless(holds, **shares)

    return right_solutions_have_few_wrong_steps


def rates_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check that rollouts succeed about as often as ``adaptive`` assumes.

    With a pilot its rollouts are compared with the learned rates, as nothing chose their prefixes.
    """
    by_hand, read = settings.annotation.rates, ("steps", "solutions")

    def assumed_rates_fit_the_rollouts(
        adaptive_labels: Frames, steps: Frames, solutions: Frames
    ) -> dg.AssetCheckResult:
        """Rollouts of right solutions succeed as often as assumed, to within 20 points."""
        return warn_unless_rates_fit(
            {
                name: success_of_right_solutions(
                    whole(steps, name).join(whole(adaptive_labels, name), on="step_id"),
                    whole(steps, name),
                    whole(solutions, name),
                    by_hand,
                )
                for name in annotated_datasets(settings, steps)
            }
        )

    def learned_rates_fit_the_rollouts(
        pilot_rates: pl.DataFrame, pilot_rollouts: Frames, steps: Frames, solutions: Frames
    ) -> dg.AssetCheckResult:
        """The pilot's rollouts of right solutions succeed as often as learned, to 20 points."""
        return warn_unless_rates_fit(
            {
                name: success_of_right_solutions(
                    outcomes_of(whole(pilot_rollouts, name)),
                    whole(steps, name),
                    whole(solutions, name),
                    learned(pilot_rates, name),
                )
                for name in annotated_datasets(settings, steps)
            }
        )

    if settings.annotation.pilot is None:
        check = partition_check(settings, "adaptive_labels", *read, blocking=False)
        return check(assumed_rates_fit_the_rollouts)
    in_all = dg.AssetIn(partition_mapping=ALL_PARTITIONS, dagster_type=Frames)
    others = dict.fromkeys((PILOT_ROLLOUTS.name, *read), in_all)
    decorate = dg.asset_check(asset=PILOT_RATES.name, additional_ins=others)
    return decorate(learned_rates_fit_the_rollouts)


def annotated_datasets(settings: Settings, frames: Frames) -> list[str]:
    """Return the names of the annotated datasets in the partitions of a run, sorted."""
    names = sorted({at.dataset for at in frames})
    return [name for name in names if settings.datasets[name].is_annotated]


def whole(frames: Frames, dataset: str) -> pl.DataFrame:
    """Return the partitions of a dataset as one frame."""
    return pl.concat(frames[at] for at in frames if at.dataset == dataset)


def warn_unless_rates_fit(successes: Mapping[str, Success]) -> dg.AssetCheckResult:
    """Return whether the share of right rollouts is near the expected one in each dataset."""
    gaps = [
        abs(one.share_correct - one.expected)
        for one in successes.values()
        if one.share_correct is not None and one.expected is not None
        if one.num_rollouts >= MIN_ROLLOUTS
    ]
    numbers = {
        f"{dataset}_{name}": value
        for dataset, success in successes.items()
        for name, value in vars(success).items()
    }
    return warn_unless(max(gaps, default=0.0) <= MAX_GAP, **numbers)


def outcomes_of(rollouts: pl.DataFrame) -> pl.DataFrame:
    """Count the rollouts of each prefix: prefix_id, num_rollouts and num_correct."""
    return (
        rollouts.filter(pl.col("finish_reason") != "error")
        .group_by("prefix_id")
        .agg(num_rollouts=pl.len(), num_correct=pl.col("is_correct").sum())
    )


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
