"""Rollouts where they tell most: our own annotator, by a posterior over the first errors' places.

docs/annotators.md says why it is sound, and where it is biased.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.first_error_belief import Belief, Floats, Tree, believe, entropy
from shepherd.annotators.outcomes import outcome
from shepherd.annotators.problem import Label, Problem, Rounds, Shown, Wanted
from shepherd.splitting import Method

Counts = NDArray[np.int64]
"""By step of a tree: its rollouts that succeeded, that failed, and that could not be drawn, which
say nothing of the step; none is drawn after these."""

RIGHT_CONCENTRATION, WRONG_CONCENTRATION = 3.0, 1.0
"""Of the Beta distributions of success rates: the smaller, the more alike are the rollouts of one
prefix. From a wrong one nearly all fail or nearly all succeed."""

WORTH = 0.01
"""Bits that a rollout must be expected to tell for each step that it writes."""


@dataclass(frozen=True)
class Adaptive:
    """Rolls out until every step is right or wrong with the probability ``confidence``.

    What it believes of the first errors is :func:`shepherd.annotators.first_error_belief.believe`.
    Rollouts succeed at a Beta distributed rate: of mean ``success_rate`` from right and mended
    prefixes, ``false_success_rate`` from wrong ones. Each undecided solution asks for the next
    rollout of the prefix that is expected to lower the entropy of the first errors' places most,
    over all undecided solutions through it, for each step that the completer has to write; at
    most ``num_rollouts`` of a prefix, and none that tells less than ``WORTH``. The hard label is
    the more probable one, the soft label the posterior probability that the step is right.
    """

    name: ClassVar[str] = "adaptive"
    num_rollouts: int
    confidence: float
    success_rate: float
    false_success_rate: float
    mending_rate: float

    def ask(self, problem: Problem, shown: Shown) -> Rounds:
        """Ask for one rollout of the most telling prefix of each undecided solution."""
        tree = Tree.of(problem)
        while wanted := self._most_telling(tree, _counts(tree, shown)):
            yield wanted

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard and soft labels."""
        tree = Tree.of(problem)
        counts = _counts(tree, shown)
        beliefs = self._believe(tree, counts)
        return [
            [*_labels(belief, counts[steps]), outcome(solution)]
            for solution, steps, belief in zip(
                problem.solutions, tree.to_roll_out, beliefs, strict=True
            )
        ]

    def _most_telling(self, tree: Tree, counts: Counts) -> Wanted:
        undecided = [
            (steps, belief)
            for steps, belief in zip(tree.to_roll_out, self._believe(tree, counts), strict=True)
            if np.any(np.maximum(belief.right, 1 - belief.right) < self.confidence)
        ]
        telling = np.zeros(len(counts))
        for steps, belief in undecided:
            telling[steps] += self._telling(belief, counts[steps])
        wanted = {}
        for steps, _ in undecided:
            best = steps[telling[steps].argmax()]
            if telling[best] > WORTH:
                wanted[tree.prefixes[best]] = int(counts[best].sum()) + 1
        return wanted

    def _believe(self, tree: Tree, counts: Counts) -> list[Belief]:
        likelihoods = np.ones((len(counts), 3))
        for step, (good, bad, _) in enumerate(counts.tolist()):
            right = _likelihood(self.success_rate, RIGHT_CONCENTRATION, good, bad)
            wrong = _likelihood(self.false_success_rate, WRONG_CONCENTRATION, good, bad)
            likelihoods[step] = right, wrong, right
        return believe(tree, likelihoods, self.mending_rate)

    def _telling(self, belief: Belief, counts: Counts) -> Floats:
        """Return the bits that the next rollout of each prefix tells, for each step it writes."""
        goes_on = (counts.sum(axis=1) < self.num_rollouts) & (counts[:, 2] == 0)
        right = _next_success(self.success_rate, RIGHT_CONCENTRATION, counts)
        wrong = _next_success(self.false_success_rate, WRONG_CONCENTRATION, counts)
        reached = belief.places - belief.wrong
        good = right[:, None] * reached + wrong[:, None] * belief.wrong
        bits = entropy(belief.places) - entropy(good) - entropy(belief.places - good)
        num_written = np.arange(len(counts), 0, -1)
        return np.where(goes_on, bits / num_written, 0.0)


class AdaptiveSettings(RolloutSettings):
    """Rollouts where they lower the uncertainty about the first errors most: at most N of a prefix.

    The rates are assumptions about completer and generators; docs/annotators.md says how to measure
    them.
    """

    kind: Literal["adaptive"] = Field("adaptive", description="the annotator")
    confidence: float = Field(
        0.97, gt=0.5, lt=1, description="probability at which a step counts as decided"
    )
    success_rate: float = Field(
        0.9, gt=0, lt=1, description="mean share of right rollouts from a right prefix"
    )
    false_success_rate: float = Field(
        0.02, gt=0, lt=1, description="mean share of right rollouts from a wrong prefix"
    )
    mending_rate: float = Field(
        0.02, gt=0, lt=1, description="probability that the step after a wrong one mends the error"
    )

    def annotator(self, method: Method = "auto") -> Adaptive:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return Adaptive(
            self.num_rollouts,
            self.confidence,
            self.success_rate,
            self.false_success_rate,
            self.mending_rate,
        )


def _counts(tree: Tree, shown: Shown) -> Counts:
    counts = np.zeros((len(tree.prefixes), 3), np.int64)
    for step, prefix in enumerate(tree.prefixes):
        found = shown.get(prefix, ())
        good = sum(rollout.is_correct for rollout in found)
        errors = sum(rollout.is_error for rollout in found)
        counts[step] = good, len(found) - good - errors, errors
    return counts


def _labels(belief: Belief, counts: Counts) -> Iterator[Label]:
    for right, (good, bad, _) in zip(belief.right.tolist(), counts.tolist(), strict=True):
        yield Label(int(right > 0.5), right, good + bad, good)


@cache
def _likelihood(rate: float, concentration: float, good: int, bad: int) -> float:
    """Return the probability of outcomes in their order, for a Beta distributed success rate."""
    successes = prod(rate * concentration + i for i in range(good))
    failures = prod((1 - rate) * concentration + i for i in range(bad))
    return successes * failures / prod(concentration + i for i in range(good + bad))


def _next_success(rate: float, concentration: float, counts: Counts) -> Floats:
    """Return how probable it is that the next rollout succeeds, after such outcomes."""
    good, bad = counts[:, 0], counts[:, 1]
    expected: Floats = (rate * concentration + good) / (concentration + good + bad)
    return expected
