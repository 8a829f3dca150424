"""Verification: choose one answer among N candidates, and see how often it is right.

Math-Shepherd (arXiv 2312.08935), section 4: self-consistency, best-of-N by an outcome or a
process reward model, and votes weighted by their scores (eq. 5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal, TypeVar

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shepherd.equivalence import answer_key
from shepherd.identity import derive_seed
from shepherd.schemas import EVALUATIONS

Aggregation = Literal["min", "last", "product", "mean"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

VERIFIERS = {"ORM": "outcome_reward_model", "PRM": "process_reward_model"}
"""Methods that rank candidates, and the reward model of each."""

MAX_GROUPS = 2**63 - 1
"""The largest number that a column holds: there are more subsets of half of 256."""


def aggregate(step_scores: pl.Series, how: Aggregation) -> pl.Series:
    """Return the score of each solution from the list of its step scores.

    The paper takes the minimum; later work finds the last step to rank better for Monte Carlo
    labels (arXiv 2501.07301), so it is a choice.

    Raises:
        ValueError: a solution has no step scores, or one that is not a number.
    """
    score = pl.element()
    aggregated = {
        "min": score.min(),
        "last": score.last(),
        "product": score.product(),
        "mean": score.mean(),
    }[how]
    finite = step_scores.list.eval(score.is_finite().fill_null(False)).list.all()
    usable = (step_scores.list.len() > 0) & finite
    if usable.sum() < len(step_scores):
        raise ValueError(
            f"step_scores: {len(step_scores) - usable.sum()} of {len(step_scores)} solutions have "
            "no score or one that is not a number: score them again"
        )
    return step_scores.list.eval(aggregated).list.first()


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
    """Return the accuracy of every method for every N, per dataset and generator.

    - ``pass@1``: expected accuracy of one candidate, over all candidates.
    - ``SC``: majority vote over answers. Equal answers (:func:`answer_key`) vote
      together, candidates without an answer do not vote, and of answers with equal votes the
      one drawn first wins.
    - ``ORM``, ``PRM``: the candidate with the highest score (the first drawn of equals).
    - ``SC+ORM``, ``SC+PRM``: the answer with the highest sum of scores (eq. 5).
    - ``oracle``: whether any candidate is right, which bounds all of these from above.

    Accuracy is the mean over subsets of N of each problem's T candidates, then over problems.
    What takes the best candidate (all but the votes) is computed over all subsets, exactly
    (:func:`best_of_subsets`). For votes a problem's candidates are shuffled and cut into disjoint
    groups of N, again and again until there are at least ``groups``; N = T has one group. Every
    candidate counts alike, so that N = 1 is exactly ``pass@1``. T is the smallest number of
    candidates of a problem; an N above it is left out, and so are methods whose reward model
    scored none of a generator's candidates.

    The interval is the 95 % percentile bootstrap over problems, resampled alike for all methods
    of a generator. All depends on ``seed`` and the data, not on the order of rows.

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
    for dataset, generator, pool in _pools(candidates, scores, problems, aggregation):
        name = f"{dataset}/{generator}"
        num_problems = len(pool.correct)
        rng = np.random.default_rng(derive_seed(seed, "bootstrap", name, 0))
        weights = rng.multinomial(num_problems, [1 / num_problems] * num_problems, size=bootstrap)
        for method, num_candidates, num_groups, accuracy in _outcomes(
            pool, counts, groups, name, seed
        ):
            low, high = np.quantile(weights @ accuracy / num_problems, [0.025, 0.975])
            rows.append(
                {
                    "dataset": dataset,
                    "generator": generator,
                    "method": method,
                    "num_candidates": num_candidates,
                    "accuracy": accuracy.mean(),
                    "low": low,
                    "high": high,
                    "num_problems": num_problems,
                    "num_groups": num_groups,
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
    """Return what :func:`evaluate` averages, to compare methods problem by problem.

    One row per generator, method, N and problem: generator, method, num_candidates, problem_id
    and solved, the share of subsets of N in which the method picks a right candidate.

    Raises:
        ValueError: as :func:`evaluate`.
    """
    return pl.concat(
        pl.DataFrame({"problem_id": pool.problem_ids, "solved": solved}).select(
            pl.lit(generator).alias("generator"),
            pl.lit(method).alias("method"),
            pl.lit(num_candidates).cast(pl.Int64).alias("num_candidates"),
            "problem_id",
            "solved",
        )
        for dataset, generator, pool in _pools(candidates, scores, problems, aggregation)
        for method, num_candidates, _, solved in _outcomes(
            pool, counts, groups, f"{dataset}/{generator}", seed
        )
    )


@dataclass(frozen=True)
class _Pool:
    """The candidates of one generator, (problems, T), in the order in which they were drawn.

    ``answers`` numbers the distinct answers of a problem, -1 where there is none.
    """

    problem_ids: list[str]
    correct: Bools
    answers: Ints
    scores: dict[str, Floats]


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
    scored = scores.with_columns(score=aggregate(scores["step_scores"], aggregation))
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
) -> Iterator[tuple[str, str, _Pool]]:
    """Yield dataset, generator and its candidates."""
    drawn = _with_scores(candidates, scores, problems, aggregation)
    for (dataset, generator), part in drawn.group_by("dataset", "generator", maintain_order=True):
        yield str(dataset), str(generator), _pool(part)


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
        problem_ids=kept["problem_id"].gather_every(total).to_list(),
        correct=kept["is_correct"].to_numpy().reshape(shape),
        answers=answers.to_numpy().reshape(shape),
        scores=scored,
    )


def best_of_subsets(correct: Bools, worth: Floats, count: int) -> Floats:
    """Return how often the best of N candidates is right, over all subsets of N: (problems,).

    Of T candidates in order of worth, the one with r before it is the best of a subset if the
    subset holds it and N - 1 of the T - 1 - r after it: in C(T - 1 - r, N - 1) of C(T, N) subsets.
    ``correct`` and ``worth`` are (problems, T); of equal worth the first drawn is the best.
    """
    total = correct.shape[1]
    rank = np.arange(total)
    # The weight of rank r + 1 is that of r times the chance that a subset without r lacks it.
    ratios = np.maximum(total - count - rank[:-1], 0) / (total - 1 - rank[:-1])
    weights = count / total * np.concatenate([[1.0], np.cumprod(ratios)])
    order = np.argsort(-worth, axis=1, kind="stable")
    in_order: Floats = np.take_along_axis(correct, order, axis=1) @ weights
    return in_order


def _outcomes(
    pool: _Pool, counts: Sequence[int], groups: int, name: str, seed: int
) -> Iterator[tuple[str, int, int, Floats]]:
    """Yield method, N, number of groups and how often each problem is solved, (problems,)."""
    num_problems, total = pool.correct.shape
    yield "pass@1", 1, total, pool.correct.mean(axis=1)
    for count in sorted({count for count in counts if count <= total}):
        rng = np.random.default_rng(derive_seed(seed, "groups", name, count))
        members = _groups(rng, num_problems, total, count, groups)
        correct, answers = _take(pool.correct, members), _take(pool.answers, members)
        num_subsets = min(comb(total, count), MAX_GROUPS)
        right = pool.correct.astype(np.float64)
        yield "oracle", count, num_subsets, best_of_subsets(pool.correct, right, count)
        num_groups = members.shape[1]
        votes = _votes(answers, np.ones(answers.shape))
        yield "SC", count, num_groups, _pick(correct, votes).mean(axis=1)
        for method, scores in pool.scores.items():
            yield method, count, num_subsets, best_of_subsets(pool.correct, scores, count)
            votes = _votes(answers, _take(scores, members))
            yield f"SC+{method}", count, num_groups, _pick(correct, votes).mean(axis=1)


def _groups(
    rng: np.random.Generator, num_problems: int, total: int, count: int, groups: int
) -> Ints:
    """Return indices of candidates, (problems, groups, N), ascending within a group."""
    disjoint = total // count
    shuffles = 1 if count == total else -(-groups // disjoint)
    order = rng.random((num_problems, shuffles, total)).argsort(axis=-1)
    cut = order[..., : disjoint * count].reshape(num_problems, shuffles * disjoint, count)
    return np.sort(cut, axis=-1)


def _take(values: NDArray[Scalar], members: Ints) -> NDArray[Scalar]:
    return np.take_along_axis(values[:, None, :], members, axis=-1)


def _pick(correct: Bools, worth: Floats) -> Bools:
    """Return whether the first candidate of the highest worth in each group is right."""
    best = worth.argmax(axis=-1)[..., None]
    return np.take_along_axis(correct, best, axis=-1)[..., 0]


def _votes(answers: Ints, weights: Floats) -> Floats:
    """Return the summed weight of each candidate's answer in its group; -inf without answer."""
    width = int(answers.max(initial=0)) + 2
    group = np.arange(answers.size // answers.shape[-1]).repeat(answers.shape[-1])
    ballot = group * width + answers.ravel() + 1
    sums = np.bincount(ballot, weights=weights.ravel())[ballot].reshape(answers.shape)
    return np.where(answers < 0, -np.inf, sums)


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the chance that a positive is scored above a negative; ties count half.

    nan if there are no positives or no negatives.
    """
    positive = np.asarray(labels, dtype=bool)
    num_positive = int(positive.sum())
    pairs = num_positive * (positive.size - num_positive)
    if not pairs:
        return float("nan")
    _, rank, ties = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(ties) - (ties - 1) / 2
    ranks_of_positive = mean_rank[rank][positive].sum()
    return float((ranks_of_positive - num_positive * (num_positive + 1) / 2) / pairs)


def auc_within_problems(scores: ArrayLike, labels: ArrayLike, problem_ids: Sequence[str]) -> float:
    """Return the mean AUC over the problems that have right and wrong candidates.

    Unlike :func:`auc` it cannot gain from telling easy problems from hard ones, which helps no
    choice among candidates. nan if no problem has both.
    """
    frame = pl.DataFrame(
        {
            "problem_id": list(problem_ids),
            "score": np.asarray(scores, dtype=np.float64),
            "label": np.asarray(labels, dtype=bool),
        }
    )
    per_problem = [
        auc(part["score"].to_numpy(), part["label"].to_numpy())
        for _, part in frame.group_by("problem_id", maintain_order=True)
        if part["label"].n_unique() == 2
    ]
    return float(np.mean(per_problem)) if per_problem else float("nan")
