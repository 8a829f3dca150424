"""The accuracy of every method to choose among N candidates (Math-Shepherd, section 4).

- ``pass@1``: expected accuracy of one candidate, over all candidates.
- ``SC``: majority vote over answers. Equal answers (:func:`answer_key`) vote together, candidates
  without an answer do not vote, and a tie goes to the answer drawn first.
- ``ORM``, ``PRM``: the candidate with the highest score; a tie goes to the one drawn first.
- ``SC+ORM``, ``SC+PRM``: the answer with the highest sum of scores (eq. 5).
- ``pass@N``: whether any candidate is right, the upper bound of all methods.

Accuracy is the mean over subsets of N of each problem's T candidates, then over problems. Methods
that take the best candidate are computed exactly over all subsets (:func:`best_of_subsets`). For
votes, a problem's candidates are shuffled and cut into disjoint groups of N, until there are at
least ``groups`` groups; N = T has one group. Every candidate counts equally often, so N = 1 is
exactly ``pass@1``.

A candidate with an unscored step has no score: it ranks behind all that have one, and its vote
weighs nothing where votes are weighted.

T is the smallest number of candidates of a problem. An N above it is left out, and so is a method
whose reward model scored none of a generator's candidates.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
import polars as pl

from shepherd.equivalence import answer_key
from shepherd.identity import derive_seed
from shepherd.intervals import bootstrap_interval, bootstrap_weights
from shepherd.schemas import EVALUATIONS
from shepherd.verification.aggregation import Aggregation, aggregate
from shepherd.verification.choice import (
    Bools,
    Floats,
    Ints,
    best_of_subsets,
    groups_of,
    pick,
    take,
    votes_of,
)

VERIFIERS = {"ORM": "outcome_reward_model", "PRM": "process_reward_model"}
"""Methods that rank candidates, and their reward models."""

UNSCORED = -math.inf
"""The worth of a candidate that its reward model did not read to the end."""

MAX_GROUPS = 2**63 - 1
"""The largest number of a column. There are more subsets of 128 out of 256."""


def evaluate(
    candidates: pl.DataFrame,
    scores: pl.DataFrame,
    problems: pl.DataFrame,
    *,
    counts: Sequence[int],
    groups: int,
    aggregation: Aggregation,
    bootstrap: int,
    seed: int,
) -> pl.DataFrame:
    """Return the accuracy of every method for every N, per dataset and generator: ``evaluations``.

    The methods and their averages are in the module's docstring. The interval is the 95 %
    percentile bootstrap over problems; all methods of a generator share the resamples, so that the
    interval of a gain over SC is paired. The result depends on ``seed`` and the data, not on the
    order of rows.

    Args:
        candidates: table CANDIDATES.
        scores: table CANDIDATE_SCORES.
        problems: table PROBLEMS, at least those of the candidates.
        counts: the numbers of candidates N.
        groups: groups of N that vote, at least (the paper: 3).
        aggregation: how step scores become one score.
        bootstrap: number of resamples.
        seed: the run's seed.

    Raises:
        ValueError: a candidate's problem is unknown, or a reward model scored only some of a
            generator's candidates.
    """
    rows: list[dict[str, object]] = []
    for pool in _pools(candidates, scores, problems, aggregation):
        weights = bootstrap_weights(pool.name, pool.size, num_resamples=bootstrap, seed=seed)
        outcomes = list(_outcomes(pool, counts, groups, seed))
        voted = {one.num_candidates: one.solved for one in outcomes if one.method == "SC"}
        for outcome in outcomes:
            low, high = bootstrap_interval(weights, outcome.solved)
            rows.append(
                {
                    "dataset": pool.dataset,
                    "generator": pool.generator,
                    "method": outcome.method,
                    "num_candidates": outcome.num_candidates,
                    "accuracy": outcome.solved.mean(),
                    "low": low,
                    "high": high,
                    "num_problems": pool.size,
                    "num_groups": outcome.num_groups,
                    **_gain(outcome, voted.get(outcome.num_candidates), weights),
                }
            )
    return pl.DataFrame(rows, schema=EVALUATIONS.schema)


def solved_shares(
    candidates: pl.DataFrame,
    scores: pl.DataFrame,
    problems: pl.DataFrame,
    *,
    counts: Sequence[int],
    groups: int,
    aggregation: Aggregation,
    seed: int,
) -> pl.DataFrame:
    """Return the accuracies of single problems, to compare methods problem by problem.

    One row per generator, method, N and problem: generator, method, num_candidates, problem_id
    and solved, the share of subsets of N in which the method picks a right candidate.

    Raises:
        ValueError: as :func:`evaluate`.
    """
    return pl.concat(
        pl.DataFrame({"problem_id": pool.problem_ids, "solved": outcome.solved}).select(
            pl.lit(pool.generator).alias("generator"),
            pl.lit(outcome.method).alias("method"),
            pl.lit(outcome.num_candidates).cast(pl.Int64).alias("num_candidates"),
            "problem_id",
            "solved",
        )
        for pool in _pools(candidates, scores, problems, aggregation)
        for outcome in _outcomes(pool, counts, groups, seed)
    )


@dataclass(frozen=True)
class _Pool:
    """The candidates of one generator, (problems, T), in the order in which they were drawn.

    ``answers`` numbers the distinct answers of a problem, -1 where there is none.
    """

    dataset: str
    generator: str
    problem_ids: list[str]
    correct: Bools
    answers: Ints
    scores: dict[str, Floats]
    """The scores in [0, 1] of each method's reward model; UNSCORED where there is none."""

    @property
    def size(self) -> int:
        """The number of problems."""
        return len(self.problem_ids)

    @property
    def name(self) -> str:
        """The text that seeds of random draws derive from."""
        return f"{self.dataset}/{self.generator}"


class _Outcome(NamedTuple):
    """What a method solves with N candidates."""

    method: str
    num_candidates: int
    num_groups: int
    """Groups of N that are averaged per problem."""
    solved: Floats
    """The share of subsets of N in which it picks a right candidate, (problems,)."""


def _gain(outcome: _Outcome, voted: Floats | None, weights: Ints) -> dict[str, float | None]:
    """Return the gain over SC with as many candidates, with its interval; null without SC."""
    if voted is None:
        return {"gain": None, "gain_low": None, "gain_high": None}
    gains = outcome.solved - voted
    low, high = bootstrap_interval(weights, gains)
    return {"gain": float(gains.mean()), "gain_low": low, "gain_high": high}


def _with_scores(
    candidates: pl.DataFrame,
    scores: pl.DataFrame,
    problems: pl.DataFrame,
    aggregation: Aggregation,
) -> pl.DataFrame:
    """Return candidates sorted, with their dataset and one score column per verifier."""
    drawn = candidates.join(problems.select("problem_id", "dataset"), on="problem_id", how="left")
    unknown = drawn["dataset"].null_count()
    if unknown:
        raise ValueError(f"candidates: {unknown} are of problems that are not in problems")
    score = aggregate(scores["step_scores"], aggregation).fill_null(UNSCORED)
    scored = scores.with_columns(score=score)
    for method, reward_model in VERIFIERS.items():
        of_model = scored.filter(reward_model=reward_model)
        column = of_model.select("candidate_id", pl.col("score").alias(method))
        drawn = drawn.join(column, on="candidate_id", how="left")
    return drawn.sort("dataset", "generator", "problem_id", "draw", "candidate_id")


def _pools(
    candidates: pl.DataFrame,
    scores: pl.DataFrame,
    problems: pl.DataFrame,
    aggregation: Aggregation,
) -> Iterator[_Pool]:
    """Yield the candidates of each dataset and generator."""
    drawn = _with_scores(candidates, scores, problems, aggregation)
    for _, part in drawn.group_by("dataset", "generator", maintain_order=True):
        yield _pool(part)


def _pool(part: pl.DataFrame) -> _Pool:
    generator = part["generator"][0]
    per_problem = part.group_by("problem_id", maintain_order=True)
    total = int(per_problem.len()["len"].to_numpy().min())
    kept = per_problem.head(total)
    shape = (-1, total)
    keys = {answer: answer_key(answer) for answer in kept["answer"].unique().drop_nulls()}
    ballot = pl.col("answer").replace_strict(keys, return_dtype=pl.String)
    number = ballot.rank("dense").over("problem_id").cast(pl.Int64).fill_null(-1)
    answers = kept.select(number).to_series()
    scored: dict[str, Floats] = {}
    for method, reward_model in VERIFIERS.items():
        missing = kept[method].null_count()
        if 0 < missing < kept.height:
            raise ValueError(
                f"candidate_scores: {reward_model} scored only some of the candidates of "
                f"{generator}, {missing} are missing: materialize candidate_scores for all shards"
            )
        if not missing:
            scored[method] = kept[method].to_numpy().reshape(shape)
    return _Pool(
        part["dataset"][0],
        generator,
        problem_ids=kept["problem_id"].gather_every(total).to_list(),
        correct=kept["is_correct"].to_numpy().reshape(shape),
        answers=answers.to_numpy().reshape(shape),
        scores=scored,
    )


def _outcomes(pool: _Pool, counts: Sequence[int], groups: int, seed: int) -> Iterator[_Outcome]:
    """Yield the outcome of each method for each N; a count above T has none."""
    num_problems, total = pool.correct.shape
    yield _Outcome("pass@1", 1, total, pool.correct.mean(axis=1))
    for count in sorted({count for count in counts if count <= total}):
        rng = np.random.default_rng(derive_seed(seed, "groups", pool.name, count))
        members = groups_of(rng, num_problems, total, count, groups)
        correct, answers = take(pool.correct, members), take(pool.answers, members)
        num_subsets = min(comb(total, count), MAX_GROUPS)
        right = pool.correct.astype(np.float64)
        yield _Outcome("pass@N", count, num_subsets, best_of_subsets(pool.correct, right, count))
        num_groups = members.shape[1]
        votes = votes_of(answers, np.ones(answers.shape))
        yield _Outcome("SC", count, num_groups, pick(correct, votes).mean(axis=1))
        for method, scores in pool.scores.items():
            yield _Outcome(method, count, num_subsets, best_of_subsets(pool.correct, scores, count))
            votes = votes_of(answers, take(np.maximum(scores, 0.0), members))
            yield _Outcome(f"SC+{method}", count, num_groups, pick(correct, votes).mean(axis=1))
