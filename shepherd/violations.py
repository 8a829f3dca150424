"""Rows that must not exist: each function takes the frames of a partition and returns them."""

from collections.abc import Sequence

import polars as pl

from shepherd.schemas import CANDIDATE_SCORES
from shepherd.splitting import Method, split_steps


def of_unknown_problems(rows: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """Rows whose problem is not in the partition."""
    return rows.join(problems, on="problem_id", how="anti")


def not_drawn(
    problems: pl.DataFrame, draws: pl.DataFrame, generators: list[str], num_draws: int
) -> pl.DataFrame:
    """Problems and generators of which another number than ``num_draws`` was drawn.

    ``draws`` has problem_id, generator and num_samples.
    """
    counts = draws.group_by("problem_id", "generator").agg(pl.col("num_samples").sum())
    return (
        problems.select("problem_id")
        .join(pl.DataFrame({"generator": generators}), how="cross")
        .join(counts, on=["problem_id", "generator"], how="left")
        .filter(pl.col("num_samples").fill_null(0) != num_draws)
    )


def not_rebuilt(steps: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    """Solutions whose steps, in the order of their numbers, are not their text."""
    rebuilt = (
        steps.sort("solution_id", "step_index")
        .group_by("solution_id", maintain_order=True)
        .agg(
            rebuilt=pl.col("text").str.join(""),
            numbered=(pl.col("step_index") == pl.int_range(1, pl.len() + 1)).all()
            & (pl.col("num_steps") == pl.len()).all(),
        )
    )
    joined = solutions.select("solution_id", "text").join(
        rebuilt, on="solution_id", how="full", coalesce=True
    )
    return joined.filter(
        pl.col("rebuilt").fill_null("").ne_missing(pl.col("text"))
        | ~pl.col("numbered").fill_null(value=True)
    )


def not_counted_through(rollouts: pl.DataFrame, num_rollouts: int) -> pl.DataFrame:
    """Prefixes whose rollouts are not numbered 0, 1, 2 ... or are more than N."""
    return (
        rollouts.group_by("prefix_id", "completer")
        .agg(drawn=pl.len(), last=pl.col("rollout_index").max())
        .filter((pl.col("drawn") != pl.col("last") + 1) | (pl.col("drawn") > num_rollouts))
    )


def not_labelled(
    labels: pl.DataFrame, steps: pl.DataFrame, annotators: Sequence[str]
) -> pl.DataFrame:
    """Solutions and annotators with a label for some steps only, labels without a step.

    An annotator may leave a whole solution unlabelled.
    """
    labelled = labels.join(steps, on="step_id", how="left")
    return (
        labelled.group_by("solution_id", "annotator")
        .agg(labels=pl.len(), steps=pl.col("num_steps").first())
        .filter(
            pl.col("steps").ne_missing(pl.col("labels").cast(pl.Int64))
            | ~pl.col("annotator").is_in(annotators)
        )
    )


def not_scored(
    scores: pl.DataFrame,
    candidates: pl.DataFrame,
    num_scores: dict[str, int | None],
    method: Method = "auto",
) -> pl.DataFrame:
    """Candidates and reward models without the right number of scores.

    ``num_scores`` says how many each reward model gives, None for one a step, cut by ``method``.
    """
    steps = pl.Series(
        [max(1, len(split_steps(text, method))) for text in candidates["text"]], dtype=pl.Int64
    )
    ids = candidates.select("candidate_id", steps=steps)
    wanted = pl.concat(
        [
            ids.select(
                "candidate_id",
                reward_model=pl.lit(name),
                wanted=pl.col("steps") if number is None else pl.lit(number, pl.Int64),
            )
            for name, number in num_scores.items()
        ]
        or [CANDIDATE_SCORES.empty().select("candidate_id", "reward_model", wanted=pl.lit(0))]
    )
    found = scores.select(
        "candidate_id", "reward_model", found=pl.col("step_scores").list.len().cast(pl.Int64)
    )
    return wanted.join(
        found, on=["candidate_id", "reward_model"], how="full", coalesce=True
    ).filter(pl.col("wanted").ne_missing(pl.col("found")))
