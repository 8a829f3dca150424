"""The labels on which two annotators agree (Lessons of developing PRMs, arXiv 2501.07301)."""

from collections.abc import Mapping

import polars as pl

from shepherd.agreement import first_errors


def consensus_labels(
    first: pl.DataFrame, second: pl.DataFrame, steps: pl.DataFrame
) -> pl.DataFrame:
    """Return ``first``'s labels, as those of the annotator ``consensus``, where both agree.

    They agree on a solution if both label all its steps and find the first error in the same step,
    or none. Other solutions stay unlabelled. The paper's two are Monte Carlo and an LLM as judge.
    """
    agreed = (
        first_errors(first, steps)
        .join(first_errors(second, steps), on=["solution_id", "first_error"])
        .select("solution_id")
    )
    step_ids = steps.join(agreed, on="solution_id").select("step_id")
    return first.join(step_ids, on="step_id", how="semi", maintain_order="left").with_columns(
        annotator=pl.lit("consensus")
    )


def join_labels(
    labels: Mapping[str, pl.DataFrame], consensus: tuple[str, str] | None, steps: pl.DataFrame
) -> pl.DataFrame:
    """Return the labels of all annotators, given by their words, and the consensus of two."""
    frames = list(labels.values())
    if consensus is not None:
        first, second = (labels[name] for name in consensus)
        frames.append(consensus_labels(first, second, steps))
    return pl.concat(frames)
