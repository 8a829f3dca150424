"""How step labels compare with the truth.

Labels are ``step_labels`` and ``steps`` the table of that name. Measures over steps leave last
steps out, as :func:`shepherd.labels.label_accuracy` does: these need no estimate.
"""

from dataclasses import dataclass

import polars as pl

from shepherd.labels import label_accuracy

NO_ERROR = -1
SURE = 0.99
"""Cross entropy takes no label as surer than this: one sure mistake would outweigh all else."""


def first_errors(labels: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Return (solution_id, annotator, first_error) of each solution that is labelled whole.

    ``first_error`` is the ``step_index`` (from 1) of the first step labelled wrong, or -1.
    """
    return (
        steps.join(labels.select("step_id", "annotator", "hard"), on="step_id")
        .group_by("solution_id", "annotator")
        .agg(
            first_error=pl.col("step_index").filter(pl.col("hard") == 0).min(),
            is_whole=pl.len() == pl.col("num_steps").first(),
        )
        .filter("is_whole")
        .select("solution_id", "annotator", pl.col("first_error").fill_null(NO_ERROR))
        .sort("solution_id", "annotator")
    )


@dataclass(frozen=True)
class FirstErrorAccuracy:
    """How well an annotator finds first errors, as ProcessBench counts (arXiv 2412.06559).

    A share over nothing is null, and so is an F1 of it.
    """

    num_wrong: int
    """Solutions with an error."""
    num_right: int
    wrong_accuracy: float | None
    """Share of the solutions with an error whose first one is found, at the very step."""
    right_accuracy: float | None
    """Share of the solutions without an error in which none is found."""
    f1: float | None
    """Harmonic mean of the two accuracies."""


def first_error_accuracy(
    labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame
) -> FirstErrorAccuracy:
    """Compare the labels of one annotator with the truth, on the solutions both label whole."""
    both = _both_first_errors(labels, truth, steps)
    return compare_first_errors(both["first_error"], both["other_error"])


def compare_first_errors(found: pl.Series, truth: pl.Series) -> FirstErrorAccuracy:
    """Compare first errors of the same solutions, each the index of a step or NO_ERROR."""
    same, has_error = found == truth, truth != NO_ERROR
    wrong: float | None = same.filter(has_error).mean()  # type: ignore[assignment]
    right: float | None = same.filter(~has_error).mean()  # type: ignore[assignment]
    num_wrong, f1 = int(has_error.sum()), None
    if wrong is not None and right is not None:
        f1 = 2 * wrong * right / (wrong + right) if wrong + right else 0.0
    return FirstErrorAccuracy(num_wrong, len(truth) - num_wrong, wrong, right, f1)


def first_below(step_scores: pl.Series, threshold: float) -> pl.Series:
    """Return the index from 0 of each solution's first step that scores less, or NO_ERROR.

    So a process reward model finds first errors (ProcessBench, arXiv 2412.06559).
    """
    below = pl.element().lt(threshold)
    first = step_scores.list.eval(below.arg_true().first()).list.first()
    return first.cast(pl.Int64).fill_null(NO_ERROR)


def best_threshold(step_scores: pl.Series, truth: pl.Series) -> float:
    """Return the hundredth at which :func:`first_below` has the highest F1, the lowest of equals.

    ``truth`` is the index from 0 of each solution's first wrong step, or NO_ERROR.

    Raises:
        ValueError: there is no solution with an error, or none without.
    """
    found = {
        hundredth / 100: compare_first_errors(first_below(step_scores, hundredth / 100), truth).f1
        for hundredth in range(1, 100)
    }
    f1s = {threshold: f1 for threshold, f1 in found.items() if f1 is not None}
    if not f1s:
        raise ValueError(
            "a threshold is chosen on solutions with and without an error: give more solutions "
            "or the threshold"
        )
    return max(f1s, key=lambda threshold: f1s[threshold])


def cross_entropy(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> float | None:
    """Return the mean of -log p(true label) in nats over soft labels p of one annotator.

    Labels are cut to [1 - SURE, SURE]. Null if no step that is not the last has a soft label.
    """
    soft = pl.col("soft").clip(1 - SURE, SURE)
    both = (
        steps.filter(~pl.col("is_last"))
        .select("step_id")
        .join(labels.select("step_id", soft), on="step_id")
        .join(truth.select("step_id", "hard"), on="step_id")
        .drop_nulls("soft")
    )
    losses = both.select(-pl.when(pl.col("hard") == 1).then(soft).otherwise(1 - soft).log())
    return losses.to_series().mean()  # type: ignore[return-value]


def label_quality(labels: pl.DataFrame, truth: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Return every measure against the truth: one row per annotator, in order of appearance.

    The columns are the fields of :class:`shepherd.labels.LabelAccuracy` and
    :class:`FirstErrorAccuracy`, and ``cross_entropy``.
    """
    return pl.DataFrame(
        [
            {
                "annotator": str(name),
                **vars(label_accuracy(part, truth, steps)),
                **vars(first_error_accuracy(part, truth, steps)),
                "cross_entropy": cross_entropy(part, truth, steps),
            }
            for (name,), part in labels.group_by("annotator", maintain_order=True)
        ],
        schema_overrides=dict.fromkeys(_SHARES, pl.Float64()),
    )


_SHARES = (
    "agreement",
    "wrong_precision",
    "wrong_recall",
    "wrong_accuracy",
    "right_accuracy",
    "f1",
    "cross_entropy",
)


def _both_first_errors(
    labels: pl.DataFrame, others: pl.DataFrame, steps: pl.DataFrame
) -> pl.DataFrame:
    """Return (first_error, other_error) of the solutions that both annotators label whole."""
    return (
        first_errors(labels, steps)
        .join(
            first_errors(others, steps).select("solution_id", other_error="first_error"),
            on="solution_id",
        )
        .select("first_error", "other_error")
    )
