"""Quality checks: they warn where results are sound but probably not worth much."""

import dagster as dg
import polars as pl

from assets.checks.structural import partition_check
from assets.deployment import ALL_PARTITIONS, PARTITIONS, SETTINGS
from assets.sampling_runs import total
from assets.verification.scoring import reward_model_aucs
from resources.storage.io_manager import Frames
from shepherd.labels import label_accuracy

MIN_LABEL_AGREEMENT = 0.9
MAX_SHARE_UNFINISHED = 0.05
GENERATOR_ACCURACY = (0.1, 0.9)
"""Outside, most problems have only right or only wrong solutions, which teach nothing."""
MIN_AUC = 0.9


def warn_unless(holds: bool, /, **numbers: float | None) -> dg.AssetCheckResult:
    """Return a check's result that blocks nothing."""
    return dg.AssetCheckResult(
        passed=holds,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: number for name, number in numbers.items() if number is not None},
    )


@partition_check("step_labels", "oracle_labels", "steps", blocking=False)
def hard_labels_agree_with_the_oracle(
    step_labels: Frames, oracle_labels: Frames, steps: Frames
) -> dg.AssetCheckResult:
    """Those that training reads, on at least 90 % of the steps that are not the last."""
    labels, truth, cut = (
        pl.concat(frames.values()) for frames in (step_labels, oracle_labels, steps)
    )
    annotator = SETTINGS.annotation.train_on
    found = label_accuracy(labels.filter(annotator=annotator), truth, cut)
    holds = found.agreement is None or found.agreement >= MIN_LABEL_AGREEMENT
    return warn_unless(holds, **vars(found))


@partition_check("solutions", blocking=False)
def generators_are_neither_hopeless_nor_perfect(solutions: Frames) -> dg.AssetCheckResult:
    """Between 10 % and 90 % of the draws are right."""
    drawn = pl.concat(solutions.values())
    if drawn.is_empty():
        return warn_unless(True, draws=0)
    draws = total(drawn, "num_samples")
    share = total(drawn.filter("is_correct"), "num_samples") / draws
    low, high = GENERATOR_ACCURACY
    return warn_unless(low <= share <= high, draws=draws, share_correct=share)


def completions_end_in_answers(asset: str) -> dg.AssetChecksDefinition:
    """Return the check that few of an asset's completions were cut or name no answer."""

    @dg.asset_check(
        asset=asset,
        name="completions_end_in_answers",
        description="At most 5 % were cut at the token limit, and at most 5 % name no answer.",
        partitions_def=PARTITIONS,
    )
    def check(completions: Frames) -> dg.AssetCheckResult:
        drawn = pl.concat(f.select("answer", "finish_reason") for f in completions.values())
        count = max(1, drawn.height)
        unanswered = drawn["answer"].null_count() / count
        truncated = drawn.filter(finish_reason="length").height / count
        return warn_unless(
            max(unanswered, truncated) <= MAX_SHARE_UNFINISHED,
            share_without_answer=unanswered,
            share_truncated=truncated,
        )

    return check


@dg.asset_check(
    asset="evaluations",
    additional_ins=dict.fromkeys(("candidates", "candidate_scores"), ALL_PARTITIONS),
)
def reward_models_rank_right_above_wrong(
    candidates: pl.DataFrame, candidate_scores: pl.DataFrame
) -> dg.AssetCheckResult:
    """The process reward model's AUC among the candidates of one problem is at least 0.9."""
    aucs = reward_model_aucs(candidates, candidate_scores, SETTINGS.verification.aggregation)
    holds = aucs.get("process_reward_model", 1.0) >= MIN_AUC
    return warn_unless(holds, **aucs)


QUALITY_CHECKS = [
    hard_labels_agree_with_the_oracle,
    generators_are_neither_hopeless_nor_perfect,
    reward_models_rank_right_above_wrong,
    *(completions_end_in_answers(asset) for asset in ("solutions", "rollouts", "candidates")),
]
