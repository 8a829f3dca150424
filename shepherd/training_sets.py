"""Training examples: labelled solutions, filtered, balanced and split.

Everything here is a lazy polars plan. ``collect_batches()`` and ``sink_parquet()`` run it as a
stream, so that training never holds the whole set. Only counts of ids are held (unanimous problems,
solutions a problem).
"""

from collections.abc import Collection
from typing import Literal, TypeVar

import polars as pl

from shepherd.settings import TrainingSet

Part = Literal["train", "validation"]
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def process_examples(
    labeled: pl.LazyFrame,
    settings: TrainingSet,
    annotators: Collection[str],
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    """Return PRM examples: solution_id, problem_id, question, steps and labels (one a step).

    Args:
        labeled: ``labeled_solutions`` of train problems, of any annotators and partitions.
        settings: the filters.
        annotators: the annotators whose labels are read.
        part: the problems to train on, or the held-out ones.
        seed: draws the held-out problems, and the solutions of a problem with more than the limit.
    """
    chosen = _chosen(labeled, settings, annotators, part, seed)
    if settings.labels == "soft":
        chosen = chosen.filter(~pl.col("soft").list.eval(pl.element().is_null()).list.any())
    labels = pl.col(settings.labels).list.eval(pl.element().cast(pl.Float64))
    steps = pl.col("steps")
    if settings.after_first_negative == "drop":
        length = _first_wrong().fill_null(steps.list.len() - 1) + 1
        steps, labels = steps.list.head(length), labels.list.head(length)
    return chosen.select("solution_id", "problem_id", "question", steps, labels.alias("labels"))


def outcome_examples(
    labeled: pl.LazyFrame,
    settings: TrainingSet,
    annotators: Collection[str],
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    """Return ORM examples: solution_id, problem_id, question, steps (one text) and labels (one)."""
    return _chosen(labeled, settings, annotators, part, seed).select(
        "solution_id",
        "problem_id",
        "question",
        pl.concat_list(pl.col("steps").list.join("")).alias("steps"),
        pl.concat_list(pl.col("is_correct").cast(pl.Float64)).alias("labels"),
    )


def sft_examples(
    problems: pl.LazyFrame, settings: TrainingSet, part: Part, seed: int
) -> pl.LazyFrame:
    """Return SFT examples (problem_id, question, solution) of train problems with a solution."""
    gold = train_problems(problems, settings, part, seed).filter(
        pl.col("gold_solution").is_not_null()
    )
    return gold.select("problem_id", "question", solution="gold_solution")


def train_problems(problems: Frame, settings: TrainingSet, part: Part, seed: int) -> Frame:
    """Return the problems of the train split that belong to the part."""
    return problems.filter(pl.col("split") == "train", _in_part(settings, part, seed))


def held_out_solutions(
    labeled: pl.DataFrame, problems: pl.DataFrame, settings: TrainingSet, seed: int
) -> pl.DataFrame:
    """Return (solution_id, problem_id, question, steps) of held-out train problems, each once.

    Solutions that the filters of the training set leave out are among them.
    """
    held_out = train_problems(problems, settings, "validation", seed)
    return (
        labeled.join(held_out, on="problem_id", how="semi", maintain_order="left")
        .unique("solution_id", keep="first", maintain_order=True)
        .select("solution_id", "problem_id", "question", "steps")
    )


def _chosen(
    labeled: pl.LazyFrame,
    settings: TrainingSet,
    annotators: Collection[str],
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    chosen = labeled.filter(
        pl.col("annotator").is_in(list(annotators)), _in_part(settings, part, seed)
    )
    if not settings.keep_unanimous:
        mixed = (
            chosen.select("problem_id", "is_correct")
            .unique()
            .group_by("problem_id")
            .len()
            .filter(pl.col("len") == 2)
        )
        chosen = chosen.join(mixed, on="problem_id", how="semi")
    if settings.per_problem is not None:
        capped = _capped(chosen, settings.per_problem, seed)
        chosen = chosen.join(capped, on=["solution_id", "annotator"], how="semi")
    return chosen


def _capped(labeled: pl.LazyFrame, per_problem: int, seed: int) -> pl.LazyFrame:
    """Return up to ``per_problem`` solutions of each problem, right and wrong ones in turn."""
    rank = _place("solution_id", seed).rank("ordinal").over("problem_id", "is_correct")
    return (
        labeled.select("solution_id", "annotator", "problem_id", "is_correct")
        .with_columns(rank=rank)
        .with_columns(
            turn=pl.struct("rank", "is_correct").rank("ordinal").over("problem_id"),
        )
        .filter(pl.col("turn") <= per_problem)
    )


def _first_wrong() -> pl.Expr:
    """Return the index from 0 of the first step labelled wrong; null without one."""
    wrong = pl.col("hard").list.eval(pl.element().eq(0).arg_true().first())
    return wrong.list.first().cast(pl.Int64)


def _in_part(settings: TrainingSet, part: Part, seed: int) -> pl.Expr:
    """Return whether a problem belongs to the part: a function of its id and the seed alone."""
    if settings.validation_share == 0:
        return pl.lit(part == "train")
    is_held_out = _place("problem_id", seed) < int(settings.validation_share * 2**32)
    return is_held_out if part == "validation" else ~is_held_out


def _place(column: str, seed: int) -> pl.Expr:
    """Return a pseudo-random number below 2**32 from an id (a hash) and the seed."""
    digits = pl.col(column).str.head(8).str.to_integer(base=16)
    return (digits + seed * 2_654_435_761 % 2**32) % 2**32
