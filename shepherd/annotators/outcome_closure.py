"""Rollouts of the prefixes that no right solution proves."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.outcomes import estimate, with_outcomes
from shepherd.annotators.problem import Label, Problem, Rounds, Shown
from shepherd.splitting import Method


@dataclass(frozen=True)
class OutcomeClosure:
    """A right solution proves its own steps; only the other prefixes are rolled out.

    Hard labels differ from :class:`MonteCarlo`'s where N rollouts miss what a sampled solution
    found: these are then the better ones.
    """

    name: ClassVar[str] = "outcome_closure"
    num_rollouts: int

    def ask(self, problem: Problem, shown: Shown) -> Rounds:  # noqa: ARG002
        """Ask for all rollouts of what no solution proves."""
        unproven = [prefix for prefix in problem.prefixes if prefix not in problem.proven]
        yield dict.fromkeys(unproven, self.num_rollouts)

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard and soft labels; soft is null where a solution is the proof."""
        found = {prefix: estimate(rollouts) for prefix, rollouts in shown.items()}
        found |= dict.fromkeys(problem.proven, Label(hard=1))
        return with_outcomes(problem, found)


class OutcomeClosureSettings(RolloutSettings):
    """N rollouts of each prefix that no right solution proves."""

    kind: Literal["outcome_closure"] = Field("outcome_closure", description="the annotator")

    def annotator(self, method: Method = "auto") -> OutcomeClosure:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return OutcomeClosure(self.num_rollouts)
