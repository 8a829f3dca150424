"""Roll out the prefixes that inform most about the first errors: this project's own annotator.

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
"""Rollouts by node of a tree, (nodes, 3): successes, failures and engine errors. An error says
nothing about the step, and after one no more rollouts of the step are drawn."""

RIGHT_CONCENTRATION, WRONG_CONCENTRATION = 3.0, 1.0
"""Concentrations of the Beta distributions of success rates. A smaller concentration makes the
rollouts of one prefix more alike: from a wrong prefix nearly all fail or nearly all succeed."""

MIN_INFORMATION = 0.01
"""Smallest expected information for which a rollout is drawn, in bits per step that it writes."""


@dataclass(frozen=True)
class Adaptive:
    """Roll out until every step is right or wrong with probability ``confidence``.

    :func:`shepherd.annotators.first_error_belief.believe` computes the posterior. The success rate
    of a prefix has a Beta distribution. Its mean is ``success_rate`` for right and mended prefixes
    and ``false_success_rate`` for wrong ones.

    The information of a rollout is the expected decrease of the entropy of first errors, summed
    over the undecided solutions through its prefix, divided by the number of steps that the
    completer must write. In each round every undecided solution requests one rollout, from its
    prefix of the largest information, if that is above ``MIN_INFORMATION``. A prefix gets at most
    ``num_rollouts``.

    The hard label is the more probable one. The soft label is the posterior probability that the
    step and all steps before it are right.
    """

    name: ClassVar[str] = "adaptive"
    num_rollouts: int
    confidence: float
    success_rate: float
    false_success_rate: float
    mending_rate: float

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:
        """Request one rollout of the most informative prefix of each undecided solution."""
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
                problem.solutions, tree.steps_to_label, beliefs, strict=True
            )
        ]

    def _next_targets(self, tree: Tree, counts: Counts) -> RolloutTargets:
        undecided = [
            (steps, belief)
            for steps, belief in zip(tree.steps_to_label, self._believe(tree, counts), strict=True)
            if np.any(np.maximum(belief.right, 1 - belief.right) < self.confidence)
        ]
        information = np.zeros(len(counts))
        for steps, belief in undecided:
            information[steps] += self._information(belief, counts[steps])
        targets = {}
        for steps, _ in undecided:
            best = steps[information[steps].argmax()]
            if information[best] > MIN_INFORMATION:
                targets[tree.prefixes[best]] = int(counts[best].sum()) + 1
        return targets

    def _believe(self, tree: Tree, counts: Counts) -> list[Belief]:
        likelihoods = np.ones((len(counts), 3))
        for step, (successes, failures, _) in enumerate(counts.tolist()):
            right = _likelihood(self.success_rate, RIGHT_CONCENTRATION, successes, failures)
            wrong = _likelihood(self.false_success_rate, WRONG_CONCENTRATION, successes, failures)
            likelihoods[step] = right, wrong, right
        return believe(tree, likelihoods, self.mending_rate)

    def _information(self, belief: Belief, counts: Counts) -> Floats:
        """Return the expected information of the next rollout of each step of a solution.

        It is in bits per written step, (K - 1,), and 0 if no more rollouts may be drawn.
        """
        is_open = (counts.sum(axis=1) < self.num_rollouts) & (counts[:, 2] == 0)
        right = _next_success(self.success_rate, RIGHT_CONCENTRATION, counts)
        wrong = _next_success(self.false_success_rate, WRONG_CONCENTRATION, counts)
        not_wrong = belief.first_error - belief.wrong
        # Joint probabilities of the next outcome and each first error: (K - 1, K + 1).
        success = right[:, None] * not_wrong + wrong[:, None] * belief.wrong
        failure = belief.first_error - success
        bits = entropy(belief.first_error) - entropy(success) - entropy(failure)
        num_steps_written = np.arange(len(counts), 0, -1)
        return np.where(is_open, bits / num_steps_written, 0.0)


class AdaptiveSettings(RolloutSettings):
    """At most N rollouts per prefix, from the prefixes that inform most about the first errors.

    The rates are assumptions about completer and generators. docs/annotators.md explains how to
    measure them.
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
    """Count the rollouts of each node."""
    counts = np.zeros((len(tree.prefixes), 3), np.int64)
    for step, prefix in enumerate(tree.prefixes):
        rollouts = drawn.get(prefix, ())
        successes = sum(rollout.is_correct for rollout in rollouts)
        errors = sum(rollout.is_error for rollout in rollouts)
        counts[step] = successes, len(rollouts) - successes - errors, errors
    return counts


def _labels(belief: Belief, counts: Counts) -> Iterator[Label]:
    """Yield the labels of a solution's steps without the last one."""
    for right, (successes, failures, _) in zip(belief.right.tolist(), counts.tolist(), strict=True):
        yield Label(int(right > 0.5), right, successes + failures, successes)


@cache
def _likelihood(rate: float, concentration: float, successes: int, failures: int) -> float:
    """Return the probability of a sequence of outcomes, if the success rate is Beta distributed.

    ``rate`` is the mean of the Beta distribution.
    """
    rising_successes = prod(rate * concentration + i for i in range(successes))
    rising_failures = prod((1 - rate) * concentration + i for i in range(failures))
    rising_total = prod(concentration + i for i in range(successes + failures))
    return rising_successes * rising_failures / rising_total


def _next_success(rate: float, concentration: float, counts: Counts) -> Floats:
    """Return the probability that the next rollout succeeds, given the outcomes so far."""
    successes, failures = counts[:, 0], counts[:, 1]
    expected: Floats = (rate * concentration + successes) / (concentration + successes + failures)
    return expected
