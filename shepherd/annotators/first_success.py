"""Rollouts of a prefix until one is right: the paper's hard labels for fewer tokens."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.outcomes import hard_only, reached, with_outcomes
from shepherd.annotators.problem import DrawnRollouts, Label, Rounds, SolvedProblem
from shepherd.splitting import Method


@dataclass(frozen=True)
class FirstSuccess:
    """Rolls a prefix out until one rollout is right, at most ``num_rollouts`` times.

    The hard labels equal Monte Carlo's with the same seeds. The soft label is null: the share of
    successes of a sample that stops at a success is biased.
    """

    name: ClassVar[str] = "first_success"
    num_rollouts: int

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:
        """Ask for one more rollout of each prefix that has failed so far."""
        for count in range(self.num_rollouts):
            yield {prefix: count + 1 for prefix in problem.prefixes if not reached(drawn, prefix)}

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return hard labels."""
        labels = {prefix: hard_only(rollouts) for prefix, rollouts in drawn.items()}
        return with_outcomes(problem, labels)


class FirstSuccessSettings(RolloutSettings):
    """Rollouts of a prefix until one is right, at most N."""

    kind: Literal["first_success"] = Field("first_success", description="the annotator")

    def annotator(self, method: Method = "auto") -> FirstSuccess:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return FirstSuccess(self.num_rollouts)
