"""Choose among candidates: the best of a subset, or the answer with the most votes."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


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


def groups_of(
    rng: np.random.Generator, num_problems: int, total: int, count: int, groups: int
) -> Ints:
    """Return indices of candidates, (problems, groups, N), ascending within a group."""
    disjoint = total // count
    shuffles = 1 if count == total else -(-groups // disjoint)
    order = rng.random((num_problems, shuffles, total)).argsort(axis=-1)
    cut = order[..., : disjoint * count].reshape(num_problems, shuffles * disjoint, count)
    return np.sort(cut, axis=-1)


def take(values: NDArray[Scalar], members: Ints) -> NDArray[Scalar]:
    return np.take_along_axis(values[:, None, :], members, axis=-1)


def pick(correct: Bools, worth: Floats) -> Bools:
    """Return whether the first candidate of the highest worth in each group is right."""
    best = worth.argmax(axis=-1)[..., None]
    return np.take_along_axis(correct, best, axis=-1)[..., 0]


def votes_of(answers: Ints, weights: Floats) -> Floats:
    """Return the summed weight of each candidate's answer in its group; -inf without answer."""
    width = int(answers.max(initial=0)) + 2
    group = np.arange(answers.size // answers.shape[-1]).repeat(answers.shape[-1])
    ballot = group * width + answers.ravel() + 1
    sums = np.bincount(ballot, weights=weights.ravel())[ballot].reshape(answers.shape)
    return np.where(answers < 0, -np.inf, sums)
