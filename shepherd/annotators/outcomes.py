"""Labels of steps from the outcomes of rollouts and of solutions."""

from collections.abc import Mapping, Sequence

from shepherd.annotators.problem import Label, Problem, Rollout, Shown, Solution
from shepherd.intervals import wilson_interval


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
