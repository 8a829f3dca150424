"""Sets of examples for training: labelled solutions filtered, balanced and split, lazily.

Everything here is a polars plan: ``collect_batches()`` or ``sink_parquet()`` runs it as a stream,
so that training never holds the whole set. Counts a problem (``cap``, unanimity) look at ids alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

Part = Literal["train", "validation"]


@dataclass(frozen=True)
class TrainingSet:
    """Which labelled solutions training sees, and how.

    ``after_first_negative``: keep the steps after the first one labelled wrong, or drop them
    (arXiv 2501.07301), which leaves that step the last. ``keep_unanimous``: keep problems of
    which all solutions are right, or all wrong. ``per_problem``: solutions to keep of each
    problem, right and wrong ones in turn. ``agreeing``: keep a solution of ``annotator`` only
    where these annotators' first wrong step is the same one. ``labels``: train on hard or soft
    labels; a solution without soft labels is then left out. ``validation_share``: share of the
    problems that training does not see.
    """

    annotator: str = "monte_carlo"
    labels: Literal["hard", "soft"] = "hard"
    after_first_negative: Literal["keep", "drop"] = "keep"
    keep_unanimous: bool = True
    per_problem: int | None = None
    agreeing: tuple[str, ...] = ()
    validation_share: float = 0.0


def process_examples(
    labeled: pl.LazyFrame, settings: TrainingSet, part: Part, seed: int
) -> pl.LazyFrame:
    """Return PRM examples: solution_id, problem_id, question, steps and labels (one a step).

    Args:
        labeled: ``labeled_solutions`` of train problems, of any annotators and partitions.
        settings: what to keep.
        part: the problems to train on, or those held out.
        seed: draws the held-out problems and which solutions stay under the cap.
    """
    kept = _kept(labeled, settings, part, seed)
    if settings.labels == "soft":
        kept = kept.filter(~pl.col("soft").list.eval(pl.element().is_null()).list.any())
    labels = pl.col(settings.labels).list.eval(pl.element().cast(pl.Float64))
    steps = pl.col("steps")
    if settings.after_first_negative == "drop":
        num_kept = _first_wrong().fill_null(steps.list.len() - 1) + 1
        steps, labels = steps.list.head(num_kept), labels.list.head(num_kept)
    return kept.select("solution_id", "problem_id", "question", steps, labels.alias("labels"))


def outcome_examples(
    labeled: pl.LazyFrame, settings: TrainingSet, part: Part, seed: int
) -> pl.LazyFrame:
    """Return ORM examples: solution_id, problem_id, question, steps (one text) and labels (one)."""
    return _kept(labeled, settings, part, seed).select(
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
    gold = problems.filter(pl.col("split") == "train", pl.col("gold_solution").is_not_null())
    return gold.filter(_in_part(settings, part, seed)).select(
        "problem_id", "question", solution="gold_solution"
    )


def _kept(labeled: pl.LazyFrame, settings: TrainingSet, part: Part, seed: int) -> pl.LazyFrame:
    kept = labeled.filter(pl.col("annotator") == settings.annotator, _in_part(settings, part, seed))
    if settings.agreeing:
        consensus = _agreed(labeled, (settings.annotator, *settings.agreeing))
        kept = kept.join(consensus, on="solution_id", how="semi")
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
        kept = kept.join(_capped(kept, settings.per_problem, seed), on="solution_id", how="semi")
    return kept


def _agreed(labeled: pl.LazyFrame, annotators: Sequence[str]) -> pl.LazyFrame:
    """Return the solutions that all of the annotators labelled, with one first wrong step."""
    return (
        labeled.filter(pl.col("annotator").is_in(annotators))
        .select("solution_id", "annotator", first_wrong=_first_wrong().fill_null(-1))
        .group_by("solution_id")
        .agg(
            pl.col("annotator").n_unique().alias("annotators"),
            pl.col("first_wrong").n_unique().alias("verdicts"),
        )
        .filter(pl.col("annotators") == len(set(annotators)), pl.col("verdicts") == 1)
    )


def _capped(kept: pl.LazyFrame, per_problem: int, seed: int) -> pl.LazyFrame:
    """Return at most so many solutions a problem, right and wrong ones in turn, drawn by seed."""
    rank = _place("solution_id", seed).rank("ordinal").over("problem_id", "is_correct")
    return (
        kept.select("solution_id", "problem_id", "is_correct")
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
    is_held_out = _place("problem_id", seed) < int(settings.validation_share * 2**32)
    return is_held_out if part == "validation" else ~is_held_out


def _place(column: str, seed: int) -> pl.Expr:
    """Return where an id lies on a circle of 2**32 places that the seed turns; ids are hashes."""
    digits = pl.col(column).str.head(8).str.to_integer(base=16)
    return (digits + seed * 2_654_435_761 % 2**32) % 2**32
