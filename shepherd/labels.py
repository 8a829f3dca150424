"""Step labels gathered by solution for training, and compared with the truth."""

from dataclasses import dataclass

import polars as pl

from shepherd.schemas import LABELED_SOLUTIONS


def labeled_solutions(
    solutions: pl.DataFrame, steps: pl.DataFrame, labels: pl.DataFrame, problems: pl.DataFrame
) -> pl.DataFrame:
    """Return ``labeled_solutions``: each solution that an annotator labelled, in solution order.

    Raises:
        ValueError: an annotator labelled some steps of a solution and not the others, or steps
            that are not there.
    """
    labelled = labels.join(steps, on="step_id", how="left")
    lost = labelled.filter(pl.col("num_steps").is_null())
    if lost.height:
        raise ValueError(
            f"labels of {lost['annotator'][0]}: {lost.height} are of steps that are not there, "
            f"first {lost['step_id'][0]}: materialize the asset that writes them again, after steps"
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
            f"{solution_id}: materialize the asset that writes them again, after steps"
        )
    return (
        solutions.select("solution_id", "problem_id", "is_correct")
        .join(problems.select("problem_id", "dataset", "question"), on="problem_id")
        .join(gathered, on="solution_id", maintain_order="left_right")
        .select(LABELED_SOLUTIONS.schema.keys())
    )


@dataclass(frozen=True)
class LabelAccuracy:
    """How hard labels compare with another annotator's, on steps that are not the last.

    A share over nothing is null.
    """

    num_steps: int
    agreement: float | None
    wrong_precision: float | None
    """Of the steps labelled wrong, the share that is wrong."""
    wrong_recall: float | None
    """Of the wrong steps, the share labelled wrong."""


def label_accuracy(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> LabelAccuracy:
    """Compare the hard labels of one annotator with those of another, the truth.

    Last steps are left out: they need no estimate. Steps that only one labelled are, too.
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
