"""Roll out the prefixes that inform most about the first errors: this project's own annotator.

docs/annotators.md explains the model and its biases.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from shepherd.annotators.annotator import LabelInputs, RolloutSettings
from shepherd.annotators.first_error_belief import Belief, Floats, Tree, believe, entropy
from shepherd.annotators.outcomes import outcome
from shepherd.annotators.problem import DrawnRollouts, Label, RolloutTargets, Rounds, SolvedProblem
from shepherd.annotators.rates import Rates, likelihoods
from shepherd.splitting import Method

Counts = NDArray[np.int64]
"""Rollouts by node of a tree, (nodes, 3): successes, failures and engine errors. An error says
nothing about the step, and after one no more rollouts of the step are drawn."""

MIN_INFORMATION = 0.01
"""Smallest expected information for which a rollout is drawn, in bits per step that it writes."""


@dataclass(frozen=True)
class Adaptive:
    """Roll out until every step is right or wrong with probability ``confidence``.

    :func:`shepherd.annotators.first_error_belief.believe` computes the posterior under ``rates``.

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
    rates: Rates

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
            information[steps] += self._information(belief, counts[steps], tree.steps_left[steps])
        targets = {}
        for steps, _ in undecided:
            best = steps[information[steps].argmax()]
            if information[best] > MIN_INFORMATION:
                targets[tree.prefixes[best]] = int(counts[best].sum()) + 1
        return targets

    def _believe(self, tree: Tree, counts: Counts) -> list[Belief]:
        rates = self.rates
        return believe(
            tree,
            likelihoods(counts[:, :2], tree.steps_left, rates),
            rates.mending_rate,
            rates.weights,
        )

    def _information(self, belief: Belief, counts: Counts, steps_left: Floats) -> Floats:
        """Return the expected information of the next rollout of each step of a solution.

        It is in bits per written step, (K - 1,), and 0 if no more rollouts may be drawn.
        """
        is_open = (counts.sum(axis=1) < self.num_rollouts) & (counts[:, 2] == 0)
        rates = self.rates
        right = _next_success(rates.right_means(steps_left), rates.right_concentration, counts)
        wrong = _next_success(rates.false_success_rate, rates.wrong_concentration, counts)
        not_wrong = belief.first_error[:, None] - belief.wrong
        first_error = belief.first_error.sum(axis=0)
        # Joint probabilities of the next outcome and each first error: (K - 1, K + 1).
        success = (right[..., None] * not_wrong).sum(axis=0)
        success += wrong[:, None] * belief.wrong.sum(axis=0)
        failure = first_error - success
        bits = entropy(first_error) - entropy(success) - entropy(failure)
        num_steps_written = np.arange(len(counts), 0, -1)
        return np.where(is_open, bits / num_steps_written, 0.0)


class AdaptiveSettings(RolloutSettings):
    """At most N rollouts per prefix, from the prefixes that inform most about the first errors.

    Without a pilot (`annotation.pilot`) the rates are assumptions about the completer. With one
    they are learned from it, and those given here are the centre of the priors.
    """

    kind: Literal["adaptive"] = Field("adaptive", description="the annotator")
    confidence: float = Field(
        0.96, gt=0.5, lt=1, description="probability at which a step counts as decided"
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

    @property
    def rates(self) -> Rates:
        """The rates without a pilot, and the centre of the priors with one."""
        return Rates((self.success_rate,), self.false_success_rate, self.mending_rate)

    def annotator(self, method: Method = "auto") -> Adaptive:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return Adaptive(self.num_rollouts, self.confidence, self.rates)

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``, replayed from the raw rollouts with the rates of a pilot, if any.

        Raises:
            ValueError: a rollout that the annotator asks for was not drawn.
        """
        annotator = self.annotator(inputs.method)
        return self.replay(replace(annotator, rates=inputs.rates or annotator.rates), inputs)


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


def _next_success(rate: float | Floats, concentration: float, counts: Counts) -> Floats:
    """Return the probability that the next rollout succeeds, given the outcomes so far."""
    successes, failures = counts[:, 0], counts[:, 1]
    expected: Floats = (rate * concentration + successes) / (concentration + successes + failures)
    return expected
