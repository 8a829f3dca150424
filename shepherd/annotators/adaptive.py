"""Rollouts where they tell most: our own annotator, by a posterior over the first error's place.

docs/annotators.md says why it is sound, and where it is biased.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import log2, prod
from typing import ClassVar, NamedTuple

from shepherd.annotators.monte_carlo import outcome
from shepherd.annotators.problem import Label, Problem, Rounds, Shown, Solution, Wanted


@dataclass(frozen=True)
class Adaptive:
    """Rolls out until every step is right or wrong with the probability ``confidence``.

    All steps before the first error of a solution are right, and all from it on wrong. Each
    place is equally likely at first. A solution with the right answer has no error, but for the
    share ``luck``: then it was mended on the way to the answer, and rollouts succeed again from
    there. They succeed at a Beta distributed rate: of mean ``success_rate`` from right and mended
    prefixes, ``false_success_rate`` from wrong ones. Each next rollout goes to the prefix that is
    expected to lower the entropy of the first error's place most for each step that the
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


class Pattern(NamedTuple):
    """What may hold of a solution: the prefixes of indices ``error`` to ``mended`` are wrong."""

    error: int
    mended: int
    prior: float


@cache
def patterns(luck: float, is_correct: bool, num_prefixes: int) -> tuple[Pattern, ...]:
    """Return all patterns of a solution and how probable each is before any rollout.

    One more place than there are prefixes can be the first error: the last step.
    """
    places, never = num_prefixes + 1, num_prefixes + 1
    if not is_correct:
        return tuple(Pattern(place, never, 1 / places) for place in range(places))
    found = [Pattern(never, never, 1 - luck)]
    for place in range(places):
        ends = range(place + 1, places) or range(num_prefixes, places)
        found += [Pattern(place, end, luck / places / len(ends)) for end in ends]
    return tuple(found)


@cache
def believe(settings: Adaptive, is_correct: bool, counts: Counts) -> Belief:
    """Return the belief about a solution after what was drawn.

    Solutions are short and rollouts few, so that most calls repeat an earlier one.
    """
    held = patterns(settings.luck, is_correct, len(counts))
    weights = [pattern.prior for pattern in held]
    for index, drawn in enumerate(counts):
        weights = _updated(settings, held, weights, index, (0, 0), drawn)
    total = sum(weights)
    weights = [weight / total for weight in weights]
    right = tuple(
        sum(weight for weight, pattern in zip(weights, held, strict=True) if pattern.error > index)
        for index in range(len(counts))
    )
    if all(max(share, 1 - share) >= settings.confidence for share in right):
        return Belief(right, None)
    now, best, best_gain = _entropy(held, weights), None, 0.0
    for index, (good, bad) in enumerate(counts):
        if good + bad < settings.num_rollouts:
            outcomes = [
                _updated(settings, held, weights, index, (good, bad), after)
                for after in ((good + 1, bad), (good, bad + 1))
            ]
            left = sum(sum(part) * _entropy(held, part) for part in outcomes)
            gain = (now - left) / (len(counts) - index)
            if gain > best_gain:
                best, best_gain = index, gain
    return Belief(right, best)


def _updated(
    settings: Adaptive,
    held: Sequence[Pattern],
    weights: Sequence[float],
    index: int,
    before: tuple[int, int],
    after: tuple[int, int],
) -> list[float]:
    """Return the part of the weights that goes with more outcomes at a prefix."""
    from_right, from_wrong = (
        _likelihood(rate, *after) / _likelihood(rate, *before)
        for rate in (settings.success_rate, settings.false_success_rate)
    )
    return [
        weight * (from_wrong if pattern.error <= index < pattern.mended else from_right)
        for weight, pattern in zip(weights, held, strict=True)
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


def _entropy(held: Sequence[Pattern], weights: Sequence[float]) -> float:
    """Return the entropy in bits of the first error's place, of weights once normalised."""
    places: dict[int, float] = defaultdict(float)
    for weight, pattern in zip(weights, held, strict=True):
        places[pattern.error] += weight
    total = sum(places.values())
    shares = (weight / total for weight in places.values() if weight > 0)
    return -sum(share * log2(share) for share in shares)
