"""Labels by the place of the first error: all steps before it are right, all from it on wrong.

A rollout that succeeds from a prefix proves all earlier prefixes of the solution as well. What
this assumes beyond eq. 3 is that no prefix after a hopeless one can succeed.
"""

from dataclasses import dataclass
from typing import ClassVar

from shepherd.annotators.monte_carlo import outcome, reached
from shepherd.annotators.problem import Label, Problem, Rounds, Shown, Solution, Wanted


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


def num_proven(solution: Solution, problem: Problem, shown: Shown) -> int:
    """Return how many steps of a solution are proven: by a right solution or a rollout."""
    for index in range(len(solution.prefixes), 0, -1):
        prefix = solution.prefixes[index - 1]
        if prefix in problem.proven or reached(shown, prefix):
            return index
    return 0


def before_error(solution: Solution, num_right: int, shown: Shown) -> list[Label]:
    """Return hard labels: 1 for the first ``num_right`` steps, then 0; the last is the outcome."""
    labels = []
    for index, prefix in enumerate(solution.prefixes):
        found = shown.get(prefix, ())
        num_correct = sum(rollout.is_correct for rollout in found)
        labels.append(
            Label(int(index < num_right), num_rollouts=len(found), num_correct=num_correct)
        )
    return [*labels, outcome(solution)]
