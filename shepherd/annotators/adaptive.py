"""Rollouts where they inform most: our own annotator, by a posterior over the first errors.

docs/annotators.md explains the model and its biases.
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
from shepherd.annotators.problem import DrawnRollouts, Label, RolloutTargets, Rounds, SolvedProblem
from shepherd.splitting import Method

Counts = NDArray[np.int64]
"""Rollouts of each step of a tree, (steps, 3): successes, failures, and engine errors. An error
says nothing about the step, and no rollout of the step is drawn after it."""

RIGHT_CONCENTRATION, WRONG_CONCENTRATION = 3.0, 1.0
"""Concentrations of the Beta distributions of success rates. The smaller it is, the more alike are
the rollouts of one prefix: from a wrong prefix nearly all fail or nearly all succeed."""

WORTH = 0.01
"""Least expected information of a rollout, in bits for each step that it writes."""


@dataclass(frozen=True)
class Adaptive:
    """Rolls out until every step is right or wrong with the probability ``confidence``.

    :func:`shepherd.annotators.first_error_belief.believe` gives the posterior. The success rate of
    a prefix's rollouts has a Beta distribution: its mean is ``success_rate`` for right and mended
    prefixes, ``false_success_rate`` for wrong ones.

    In each round every undecided solution asks for one rollout: that of its prefix with the largest
    expected fall of the entropy of first errors, summed over all undecided solutions with this
    prefix, for each step that the completer writes. A prefix gets at most ``num_rollouts``, and
    none whose expected information is below ``WORTH``.

    The hard label is the more probable one. The soft label is the posterior probability that the
    step is right.
    """

    name: ClassVar[str] = "adaptive"
    num_rollouts: int
    confidence: float
    success_rate: float
    false_success_rate: float
    mending_rate: float

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:
        """Ask for one rollout of the most informative prefix of each undecided solution."""
        tree = Tree.of(problem)
        while targets := self._next_targets(tree, _counts(tree, drawn)):
            yield targets

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return hard and soft labels."""
        tree = Tree.of(problem)
        counts = _counts(tree, drawn)
        beliefs = self._believe(tree, counts)
        return [
            [*_labels(belief, counts[steps]), outcome(solution)]
            for solution, steps, belief in zip(
                problem.solutions, tree.to_roll_out, beliefs, strict=True
            )
        ]

    def _next_targets(self, tree: Tree, counts: Counts) -> RolloutTargets:
        undecided = [
            (steps, belief)
            for steps, belief in zip(tree.to_roll_out, self._believe(tree, counts), strict=True)
            if np.any(np.maximum(belief.right, 1 - belief.right) < self.confidence)
        ]
        information = np.zeros(len(counts))
        for steps, belief in undecided:
            information[steps] += self._information(belief, counts[steps])
        targets = {}
        for steps, _ in undecided:
            best = steps[information[steps].argmax()]
            if information[best] > WORTH:
                targets[tree.prefixes[best]] = int(counts[best].sum()) + 1
        return targets

    def _believe(self, tree: Tree, counts: Counts) -> list[Belief]:
        likelihoods = np.ones((len(counts), 3))
        for step, (good, bad, _) in enumerate(counts.tolist()):
            right = _likelihood(self.success_rate, RIGHT_CONCENTRATION, good, bad)
            wrong = _likelihood(self.false_success_rate, WRONG_CONCENTRATION, good, bad)
            likelihoods[step] = right, wrong, right
        return believe(tree, likelihoods, self.mending_rate)

    def _information(self, belief: Belief, counts: Counts) -> Floats:
        """Return the expected information of each prefix's next rollout, in bits a written step."""
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


def _counts(tree: Tree, drawn: DrawnRollouts) -> Counts:
    counts = np.zeros((len(tree.prefixes), 3), np.int64)
    for step, prefix in enumerate(tree.prefixes):
        rollouts = drawn.get(prefix, ())
        good = sum(rollout.is_correct for rollout in rollouts)
        errors = sum(rollout.is_error for rollout in rollouts)
        counts[step] = good, len(rollouts) - good - errors, errors
    return counts


def _labels(belief: Belief, counts: Counts) -> Iterator[Label]:
    for right, (good, bad, _) in zip(belief.right.tolist(), counts.tolist(), strict=True):
        yield Label(int(right > 0.5), right, good + bad, good)


@cache
def _likelihood(rate: float, concentration: float, good: int, bad: int) -> float:
    """Return the probability of a sequence of outcomes, for a Beta distributed success rate."""
    successes = prod(rate * concentration + i for i in range(good))
    failures = prod((1 - rate) * concentration + i for i in range(bad))
    return successes * failures / prod(concentration + i for i in range(good + bad))


def _next_success(rate: float, concentration: float, counts: Counts) -> Floats:
    """Return the probability that the next rollout succeeds, given the outcomes so far."""
    good, bad = counts[:, 0], counts[:, 1]
    expected: Floats = (rate * concentration + good) / (concentration + good + bad)
    return expected
