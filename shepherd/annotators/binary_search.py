"""OmegaPRM's binary search for the first error (arXiv 2406.06592, section 3.2)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.first_error import before_error, num_proven
from shepherd.annotators.problem import Label, Problem, Rounds, Shown, Solution, Wanted
from shepherd.splitting import Method


@dataclass(frozen=True)
class BinarySearch:
    """OmegaPRM's search for the first error (arXiv 2406.06592, section 3.2).

    Halves the unknown part of a wrong solution by rolling its middle out until a success, at
    most ``num_rollouts`` times: O(log K) prefixes of K. A right solution proves its own steps,
    and those of others that share them.
    """

    name: ClassVar[str] = "binary_search"
    num_rollouts: int

    def ask(self, problem: Problem, shown: Shown) -> Rounds:
        """Ask for one more rollout of the middle prefix of each wrong solution."""
        while wanted := self._middles(problem, shown):
            yield wanted

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard labels."""
        return [
            before_error(solution, self._bounds(solution, problem, shown)[0], shown)
            for solution in problem.solutions
        ]

    def _middles(self, problem: Problem, shown: Shown) -> Wanted:
        wanted = {}
        for solution in problem.solutions:
            right, wrong = self._bounds(solution, problem, shown)
            if not solution.is_correct and wrong - right > 1:
                middle = solution.prefixes[(right + wrong) // 2 - 1]
                wanted[middle] = len(shown.get(middle, ())) + 1
        return wanted

    def _bounds(self, solution: Solution, problem: Problem, shown: Shown) -> tuple[int, int]:
        """Return how many steps are proven right, and the first step known to be wrong."""
        prefixes = solution.prefixes
        right = num_proven(solution, problem, shown)
        for index in range(right + 1, len(prefixes) + 1):
            if len(shown.get(prefixes[index - 1], ())) >= self.num_rollouts:
                return right, index
        return right, len(prefixes) + 1


class BinarySearchSettings(RolloutSettings):
    """OmegaPRM's search for the first error: at most N rollouts of O(log K) prefixes."""

    kind: Literal["binary_search"] = Field("binary_search", description="the annotator")

    def annotator(self, method: Method = "auto") -> BinarySearch:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return BinarySearch(self.num_rollouts)
