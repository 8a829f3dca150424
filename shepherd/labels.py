"""Step labels by solution, as training reads them, and their agreement with the truth."""

from dataclasses import dataclass

import polars as pl

from shepherd.schemas import LABELED_SOLUTIONS


def labeled_solutions(
    solutions: pl.DataFrame, steps: pl.DataFrame, labels: pl.DataFrame, problems: pl.DataFrame
) -> pl.DataFrame:
    """Return ``labeled_solutions``: each solution that an annotator labelled, in solution order.

    Raises:
        ValueError: an annotator labelled only some steps of a solution, or steps that do not exist.
    """
    labelled = labels.join(steps, on="step_id", how="left")
    unknown = labelled.filter(pl.col("num_steps").is_null())
    if unknown.height:
        annotator, step_id = unknown.select("annotator", "step_id").row(0)
        raise ValueError(
            f"labels of {annotator}: {unknown.height} are of steps that do not exist, "
            f"first {step_id}: materialize steps, then the asset of these labels"
        )
    gathered = (
        labelled.sort("solution_id", "annotator", "step_index")
        .group_by("solution_id", "annotator", maintain_order=True)
        .agg(pl.col("text").alias("steps"), "hard", "soft", num_steps=pl.col("num_steps").first())
    )
    partial = gathered.filter(pl.col("hard").list.len() != pl.col("num_steps"))
    if partial.height:
        solution_id, annotator = partial.row(0)[:2]
        raise ValueError(
            f"labels of {annotator}: {partial.height} solutions have unlabelled steps, first "
            f"{solution_id}: materialize steps, then the asset of these labels"
        )
    return (
        solutions.select("solution_id", "problem_id", "is_correct")
        .join(problems.select("problem_id", "dataset", "question"), on="problem_id")
        .join(gathered, on="solution_id", maintain_order="left_right")
        .select(LABELED_SOLUTIONS.schema.keys())
    )


@dataclass(frozen=True)
class LabelAccuracy:
    """Agreement of hard labels with another annotator's, on all steps but the last.

    Shares are None where their denominator is 0.
    """

    num_steps: int
    agreement: float | None
    wrong_precision: float | None
    """Share of the steps labelled wrong that are wrong."""
    wrong_recall: float | None
    """Share of the wrong steps that are labelled wrong."""


def label_accuracy(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> LabelAccuracy:
    """Compare the hard labels of one annotator with the truth, another annotator's.

    Last steps do not count, as they need no estimate. Steps that only one of both labelled do not
    count either.
    """
    both = (
        steps.filter(~pl.col("is_last"))
        .select("step_id")
        .join(labels.select("step_id", labelled="hard"), on="step_id")
        .join(truth.select("step_id", true="hard"), on="step_id")
    )
    labelled_wrong, is_wrong = pl.col("labelled") == 0, pl.col("true") == 0
    agreement, precision, recall = both.select(
        agreement=(labelled_wrong == is_wrong).mean(),
        precision=is_wrong.filter(labelled_wrong).mean(),
        recall=labelled_wrong.filter(is_wrong).mean(),
    ).row(0)
    return LabelAccuracy(both.height, agreement, precision, recall)


def label_accuracies(
    labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame
) -> dict[str, LabelAccuracy]:
    """Return :func:`label_accuracy` of each annotator in ``labels``, by name."""
    return {
        str(name): label_accuracy(part, truth, steps)
        for (name,), part in labels.group_by("annotator", maintain_order=True)
    }
