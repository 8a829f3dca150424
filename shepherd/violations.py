"""Find rows that break the rules of a table. Each function takes the frames of a partition."""

from collections.abc import Sequence

import polars as pl

from shepherd.schemas import CANDIDATE_SCORES
from shepherd.splitting import Method, split_steps


def of_unknown_problems(rows: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose problem is not in the partition."""
    return rows.join(problems, on="problem_id", how="anti")


def not_drawn(
    problems: pl.DataFrame, draws: pl.DataFrame, generators: list[str], num_draws: int
) -> pl.DataFrame:
    """Return the problems and generators whose number of draws is not ``num_draws``.

    ``draws`` has the columns problem_id, generator and num_samples.
    """
    counts = draws.group_by("problem_id", "generator").agg(pl.col("num_samples").sum())
    return (
        problems.select("problem_id")
        .join(pl.DataFrame({"generator": generators}), how="cross")
        .join(counts, on=["problem_id", "generator"], how="left")
        .filter(pl.col("num_samples").fill_null(0) != num_draws)
    )


def not_rebuilt(steps: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    """Return the solutions whose steps, joined in the order of their index, are not their text."""
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
    """Return the prefixes whose rollouts are not numbered 0, 1, 2 ... or are more than N."""
    return (
        rollouts.group_by("prefix_id", "completer")
        .agg(drawn=pl.len(), last=pl.col("rollout_index").max())
        .filter((pl.col("drawn") != pl.col("last") + 1) | (pl.col("drawn") > num_rollouts))
    )


def not_labelled(
    labels: pl.DataFrame, steps: pl.DataFrame, annotators: Sequence[str]
) -> pl.DataFrame:
    """Return the solutions that an annotator labels in part, and labels without a step.

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
    """Return the candidates and reward models with a wrong number of scores.

    ``num_scores`` is the number of scores of each reward model. None is one score a step; steps
    are split by ``method``.
    """
    steps = pl.Series(
        [max(1, len(split_steps(text, method))) for text in candidates["text"]], dtype=pl.Int64
    )
    ids = candidates.select("candidate_id", steps=steps)
    expected = pl.concat(
        [
            ids.select(
                "candidate_id",
                reward_model=pl.lit(name),
                expected=pl.col("steps") if number is None else pl.lit(number, pl.Int64),
            )
            for name, number in num_scores.items()
        ]
        or [CANDIDATE_SCORES.empty().select("candidate_id", "reward_model", expected=pl.lit(0))]
    )
    actual = scores.select(
        "candidate_id", "reward_model", actual=pl.col("step_scores").list.len().cast(pl.Int64)
    )
    return expected.join(
        actual, on=["candidate_id", "reward_model"], how="full", coalesce=True
    ).filter(pl.col("expected").ne_missing(pl.col("actual")))
