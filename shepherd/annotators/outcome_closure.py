"""Rollouts of the prefixes that no right solution proves."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.outcomes import estimate, with_outcomes
from shepherd.annotators.problem import DrawnRollouts, Label, Rounds, SolvedProblem
from shepherd.splitting import Method


@dataclass(frozen=True)
class OutcomeClosure:
    """A right solution proves its own steps; only the other prefixes are rolled out.

    Hard labels differ from Monte Carlo's only where N rollouts failed and a sampled solution
    reached the answer; there these labels are the right ones.
    """

    name: ClassVar[str] = "outcome_closure"
    num_rollouts: int

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:  # noqa: ARG002
        """Ask for all rollouts of the prefixes that no solution proves."""
        unproven = [prefix for prefix in problem.prefixes if prefix not in problem.proven]
        yield dict.fromkeys(unproven, self.num_rollouts)

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return hard and soft labels; soft is null where a solution proves the prefix."""
        labels = {prefix: estimate(rollouts) for prefix, rollouts in drawn.items()}
        labels |= dict.fromkeys(problem.proven, Label(hard=1))
        return with_outcomes(problem, labels)


class OutcomeClosureSettings(RolloutSettings):
    """N rollouts of each prefix that no right solution proves."""

    kind: Literal["outcome_closure"] = Field("outcome_closure", description="the annotator")

    def annotator(self, method: Method = "auto") -> OutcomeClosure:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return OutcomeClosure(self.num_rollouts)
