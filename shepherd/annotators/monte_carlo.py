"""Labels by rolling prefixes out: exactly N, to the first success, or only where it can matter.

The paper's annotator (Math-Shepherd, arXiv 2312.08935, eq. 3 and 4) and two that give its hard
labels for less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from shepherd.annotators.problem import Label, Problem, Rollout, Rounds, Shown, Solution
from shepherd.intervals import wilson_interval


@dataclass(frozen=True)
class MonteCarlo:
    """Exactly ``num_rollouts`` of each prefix: hard by eq. 3, soft by eq. 4 with its interval."""

    name: ClassVar[str] = "monte_carlo"
    num_rollouts: int

    def ask(self, problem: Problem, shown: Shown) -> Rounds:  # noqa: ARG002
        """Ask for all rollouts at once."""
        yield dict.fromkeys(problem.prefixes, self.num_rollouts)

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard and soft labels."""
        found = {prefix: estimate(rollouts) for prefix, rollouts in shown.items()}
        return with_outcomes(problem, found)


@dataclass(frozen=True)
class FirstSuccess:
    """Rollouts of a prefix until one is right, at most ``num_rollouts``.

    The hard labels are those of :class:`MonteCarlo` with the same seeds. The soft label is null:
    a share of a sample that stops at a success is biased.
    """

    name: ClassVar[str] = "first_success"
    num_rollouts: int

    def ask(self, problem: Problem, shown: Shown) -> Rounds:
        """Ask for one more rollout of each prefix that has failed so far."""
        for count in range(self.num_rollouts):
            yield {prefix: count + 1 for prefix in problem.prefixes if not reached(shown, prefix)}

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard labels."""
        found = {prefix: hard_only(rollouts) for prefix, rollouts in shown.items()}
        return with_outcomes(problem, found)


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


def reached(shown: Shown, prefix: str) -> bool:
    """Say whether a rollout of this prefix was right."""
    return any(rollout.is_correct for rollout in shown.get(prefix, ()))


def with_outcomes(problem: Problem, found: Mapping[str, Label]) -> list[list[Label]]:
    """Return the labels of each solution: those of its prefixes, then its outcome."""
    return [[*map(found.__getitem__, s.prefixes), outcome(s)] for s in problem.solutions]


def outcome(solution: Solution) -> Label:
    """Return the label of a last step: the solution's own correctness, at no cost."""
    return Label(hard=int(solution.is_correct), soft=float(solution.is_correct))


def estimate(rollouts: Sequence[Rollout]) -> Label:
    """Return the Monte Carlo estimates (eq. 3 and 4) with the Wilson interval of the soft one."""
    total, right = len(rollouts), sum(rollout.is_correct for rollout in rollouts)
    low, high = wilson_interval(right, total)
    return Label(int(right > 0), right / total, total, right, low, high)


def hard_only(rollouts: Sequence[Rollout]) -> Label:
    """Return eq. 3 where the number of rollouts depends on their outcome."""
    right = sum(rollout.is_correct for rollout in rollouts)
    return Label(hard=int(right > 0), num_rollouts=len(rollouts), num_correct=right)
