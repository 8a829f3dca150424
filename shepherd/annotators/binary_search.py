"""OmegaPRM's binary search for the first error (arXiv 2406.06592, section 3.2)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.first_error import before_error, num_proven
from shepherd.annotators.problem import (
    DrawnRollouts,
    Label,
    RolloutTargets,
    Rounds,
    SolutionSteps,
    SolvedProblem,
)
from shepherd.splitting import Method


@dataclass(frozen=True)
class BinarySearch:
    """OmegaPRM's search for the first error (arXiv 2406.06592, section 3.2).

    It halves the undecided part of a wrong solution: it rolls out the middle prefix until a
    success, at most ``num_rollouts`` times. So it rolls out O(log K) of K prefixes. A right
    solution proves its own prefixes, also where other solutions share them.
    """

    name: ClassVar[str] = "binary_search"
    num_rollouts: int

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:
        """Ask for one more rollout of the middle prefix of each wrong solution."""
        while targets := self._middles(problem, drawn):
            yield targets

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return hard labels."""
        return [
            before_error(solution, self._bounds(solution, problem, drawn)[0], drawn)
            for solution in problem.solutions
        ]

    def _middles(self, problem: SolvedProblem, drawn: DrawnRollouts) -> RolloutTargets:
        targets = {}
        for solution in problem.solutions:
            right, wrong = self._bounds(solution, problem, drawn)
            if not solution.is_correct and wrong - right > 1:
                middle = solution.prefixes[(right + wrong) // 2 - 1]
                targets[middle] = len(drawn.get(middle, ())) + 1
        return targets

    def _bounds(
        self, solution: SolutionSteps, problem: SolvedProblem, drawn: DrawnRollouts
    ) -> tuple[int, int]:
        """Return the number of steps proven right, and the first step known to be wrong."""
        prefixes = solution.prefixes
        right = num_proven(solution, problem, drawn)
        for index in range(right + 1, len(prefixes) + 1):
            if len(drawn.get(prefixes[index - 1], ())) >= self.num_rollouts:
                return right, index
        return right, len(prefixes) + 1


class BinarySearchSettings(RolloutSettings):
    """OmegaPRM's search for the first error: at most N rollouts of O(log K) prefixes."""

    kind: Literal["binary_search"] = Field("binary_search", description="the annotator")

    def annotator(self, method: Method = "auto") -> BinarySearch:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return BinarySearch(self.num_rollouts)
