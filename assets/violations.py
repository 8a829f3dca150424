"""Rows that must not exist: each function takes the frames of a partition and returns them."""

import polars as pl

from shepherd.schemas import CANDIDATE_SCORES
from shepherd.splitting import split_steps


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


def not_rolled_out(rollouts: pl.DataFrame, steps: pl.DataFrame, num_rollouts: int) -> pl.DataFrame:
    """Prefixes that lack rollouts, have too many, or need none."""
    needed = steps.filter(~pl.col("is_last")).select("prefix_id").unique()
    counts = rollouts.group_by("prefix_id").agg(drawn=pl.len())
    return (
        needed.with_columns(wanted=pl.lit(num_rollouts))
        .join(counts, on="prefix_id", how="full", coalesce=True)
        .filter(pl.col("wanted").fill_null(0) != pl.col("drawn").fill_null(0))
    )


def not_labelled_once(labels: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Steps without exactly one label, and labels without a step."""
    counts = labels.group_by("step_id").agg(labels=pl.len())
    return (
        steps.select("step_id", is_step=pl.lit(value=True))
        .join(counts, on="step_id", how="full", coalesce=True)
        .filter(pl.col("is_step").is_null() | (pl.col("labels").fill_null(0) != 1))
    )


def not_scored(
    scores: pl.DataFrame, candidates: pl.DataFrame, num_scores: dict[str, int | None]
) -> pl.DataFrame:
    """Candidates and reward models without the right number of scores.

    ``num_scores`` says how many each reward model gives, None for one a step.
    """
    steps = pl.Series(
        [max(1, len(split_steps(text))) for text in candidates["text"]], dtype=pl.Int64
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
