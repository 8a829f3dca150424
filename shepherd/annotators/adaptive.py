"""Rollouts where they tell most: our own annotator, by a posterior over the first error's place.

docs/annotators.md says why it is sound, and where it is biased.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import log2, prod
from typing import ClassVar

from shepherd.annotators.monte_carlo import outcome
from shepherd.annotators.problem import Label, Problem, Rounds, Shown, Solution, Wanted


@dataclass(frozen=True)
class Adaptive:
    """Rolls out until every step is right or wrong with the probability ``confidence``.

    All steps before the first error of a solution are right, and all from it on wrong. Each
    place is equally likely at first; a solution with the right answer has no error, but for the
    share ``luck``. Rollouts succeed at a Beta distributed rate: of mean ``success_rate`` from
    right prefixes, ``false_success_rate`` from wrong ones. Each next rollout goes to the prefix
    that is expected to lower the entropy of the first error's place most for each step that the
    completer has to write; at most ``num_rollouts`` to a prefix. The hard label is the more
    probable one, the soft label the posterior probability that the step is right.
    """

    name: ClassVar[str] = "adaptive"
    num_rollouts: int
    confidence: float
    success_rate: float
    false_success_rate: float
    luck: float

    def ask(self, problem: Problem, shown: Shown) -> Rounds:
        """Ask for one rollout of the most telling prefix of each undecided solution."""
        while wanted := self._most_telling(problem, shown):
            yield wanted

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard and soft labels."""
        return [[*self._labels(s, shown), outcome(s)] for s in problem.solutions]

    def _most_telling(self, problem: Problem, shown: Shown) -> Wanted:
        wanted = {}
        for solution in problem.solutions:
            belief = believe(self, solution.is_correct, _counts(solution, shown))
            if belief.most_telling is not None:
                prefix = solution.prefixes[belief.most_telling]
                wanted[prefix] = len(shown.get(prefix, ())) + 1
        return wanted

    def _labels(self, solution: Solution, shown: Shown) -> Iterator[Label]:
        counts = _counts(solution, shown)
        believed = believe(self, solution.is_correct, counts).right
        for right, (good, bad) in zip(believed, counts, strict=True):
            yield Label(int(right > 0.5), right, good + bad, good)


@dataclass(frozen=True)
class Belief:
    """What :class:`Adaptive` holds of a solution.

    ``right`` is the probability that the steps so far are right, for each non-final prefix;
    ``most_telling`` the index of the prefix to roll out next, null once all is decided.
    """

    right: tuple[float, ...]
    most_telling: int | None


Counts = tuple[tuple[int, int], ...]
"""Rollouts of each non-final prefix that succeeded, and that failed."""


@cache
def believe(settings: Adaptive, is_correct: bool, counts: Counts) -> Belief:
    """Return the belief about a solution after what was drawn.

    Solutions are short and rollouts few, so that most calls repeat an earlier one.
    """
    weights = _first_error(settings, is_correct, counts)
    right = tuple(sum(weights[index:]) for index in range(1, len(weights) - 1))
    if all(max(share, 1 - share) >= settings.confidence for share in right):
        return Belief(right, None)
    best, best_gain = None, 0.0
    for index, (good, bad) in enumerate(counts):
        if good + bad < settings.num_rollouts:
            success = _with_outcome(settings, weights, index, (good, bad), (good + 1, bad))
            failure = _with_outcome(settings, weights, index, (good, bad), (good, bad + 1))
            left = sum(sum(part) * _entropy(part) for part in (success, failure))
            gain = (_entropy(weights) - left) / (len(counts) - index)
            if gain > best_gain:
                best, best_gain = index, gain
    return Belief(right, best)


def _first_error(settings: Adaptive, is_correct: bool, counts: Counts) -> list[float]:
    """Return the posterior probability of each place of the first error; the last is none."""
    places = len(counts) + 1
    weights = [(settings.luck if is_correct else 1.0) / places] * places
    weights.append(1 - settings.luck if is_correct else 0.0)
    for index, (good, bad) in enumerate(counts):
        for place in range(places + 1):
            rate = settings.success_rate if place > index else settings.false_success_rate
            weights[place] *= _likelihood(rate, good, bad)
    total = sum(weights)
    return [weight / total for weight in weights]


def _with_outcome(
    settings: Adaptive,
    weights: Sequence[float],
    index: int,
    before: tuple[int, int],
    after: tuple[int, int],
) -> list[float]:
    """Return the part of the weights that goes with one more outcome at a prefix."""
    from_right, from_wrong = (
        _likelihood(rate, *after) / _likelihood(rate, *before)
        for rate in (settings.success_rate, settings.false_success_rate)
    )
    return [
        weight * (from_right if place > index else from_wrong)
        for place, weight in enumerate(weights)
    ]


@cache
def _likelihood(rate: float, good: int, bad: int) -> float:
    """Return the probability of outcomes in their order, for a Beta distributed success rate.

    Its mean is ``rate`` and its concentration 1: most prefixes nearly always succeed or fail.
    """
    successes = prod(rate + i for i in range(good))
    failures = prod(1 - rate + i for i in range(bad))
    return successes * failures / prod(1 + i for i in range(good + bad))


def _counts(solution: Solution, shown: Shown) -> Counts:
    counts = []
    for prefix in solution.prefixes:
        found = shown.get(prefix, ())
        good = sum(rollout.is_correct for rollout in found)
        counts.append((good, len(found) - good))
    return tuple(counts)


def _entropy(weights: Sequence[float]) -> float:
    """Return the entropy in bits of weights, once normalised."""
    total = sum(weights)
    shares = (weight / total for weight in weights if weight > 0)
    return -sum(share * log2(share) for share in shares)
