"""Sets of examples for training: labelled solutions filtered, balanced and split, lazily.

Everything here is a polars plan: ``collect_batches()`` or ``sink_parquet()`` runs it as a stream,
so that training never holds the whole set. Counts a problem (``cap``, unanimity) look at ids alone.
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
        settings: what to keep.
        annotators: whose labels to keep.
        part: the problems to train on, or those held out.
        seed: draws the held-out problems and which solutions stay under the cap.
    """
    kept = _kept(labeled, settings, annotators, part, seed)
    if settings.labels == "soft":
        kept = kept.filter(~pl.col("soft").list.eval(pl.element().is_null()).list.any())
    labels = pl.col(settings.labels).list.eval(pl.element().cast(pl.Float64))
    steps = pl.col("steps")
    if settings.after_first_negative == "drop":
        num_kept = _first_wrong().fill_null(steps.list.len() - 1) + 1
        steps, labels = steps.list.head(num_kept), labels.list.head(num_kept)
    return kept.select("solution_id", "problem_id", "question", steps, labels.alias("labels"))


def outcome_examples(
    labeled: pl.LazyFrame,
    settings: TrainingSet,
    annotators: Collection[str],
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    """Return ORM examples: solution_id, problem_id, question, steps (one text) and labels (one)."""
    return _kept(labeled, settings, annotators, part, seed).select(
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
    """Return the problems of the train split that are of the part."""
    return problems.filter(pl.col("split") == "train", _in_part(settings, part, seed))


def _kept(
    labeled: pl.LazyFrame,
    settings: TrainingSet,
    annotators: Collection[str],
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    kept = labeled.filter(
        pl.col("annotator").is_in(list(annotators)), _in_part(settings, part, seed)
    )
    if not settings.keep_unanimous:
        mixed = (
            kept.select("problem_id", "is_correct")
            .unique()
            .group_by("problem_id")
            .len()
            .filter(pl.col("len") == 2)
        )
        kept = kept.join(mixed, on="problem_id", how="semi")
    if settings.per_problem is not None:
        capped = _capped(kept, settings.per_problem, seed)
        kept = kept.join(capped, on=["solution_id", "annotator"], how="semi")
    return kept


def _capped(kept: pl.LazyFrame, per_problem: int, seed: int) -> pl.LazyFrame:
    """Return at most so many solutions a problem, right and wrong ones in turn, drawn by seed."""
    rank = _place("solution_id", seed).rank("ordinal").over("problem_id", "is_correct")
    return (
        kept.select("solution_id", "annotator", "problem_id", "is_correct")
        .with_columns(rank=rank)
        .with_columns(
            turn=pl.struct("rank", "is_correct").rank("ordinal").over("problem_id"),
        )
        .filter(pl.col("turn") <= per_problem)
    )


def _first_wrong() -> pl.Expr:
    """Return the index of the first step labelled wrong, from 0; null where there is none."""
    wrong = pl.col("hard").list.eval(pl.element().eq(0).arg_true().first())
    return wrong.list.first().cast(pl.Int64)


def _in_part(settings: TrainingSet, part: Part, seed: int) -> pl.Expr:
    """Return whether a problem is of the part: by its id, so that it never changes sides."""
    if settings.validation_share == 0:
        return pl.lit(part == "train")
    is_held_out = _place("problem_id", seed) < int(settings.validation_share * 2**32)
    return is_held_out if part == "validation" else ~is_held_out


def _place(column: str, seed: int) -> pl.Expr:
    """Return where an id lies on a circle of 2**32 places that the seed turns; ids are hashes."""
    digits = pl.col(column).str.head(8).str.to_integer(base=16)
    return (digits + seed * 2_654_435_761 % 2**32) % 2**32
