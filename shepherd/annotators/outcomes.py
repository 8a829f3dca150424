"""Labels of steps from the outcomes of rollouts and of solutions."""

from collections.abc import Mapping, Sequence

from shepherd.annotators.problem import DrawnRollouts, Label, Rollout, SolutionSteps, SolvedProblem
from shepherd.intervals import wilson_interval


def reached(drawn: DrawnRollouts, prefix: str) -> bool:
    """Return whether a rollout of this prefix is right."""
    return any(rollout.is_correct for rollout in drawn.get(prefix, ()))


def with_outcomes(problem: SolvedProblem, labels: Mapping[str, Label]) -> list[list[Label]]:
    """Return the labels of each solution: those of its prefixes, then that of its last step."""
    return [[*map(labels.__getitem__, s.prefixes), outcome(s)] for s in problem.solutions]


def outcome(solution: SolutionSteps) -> Label:
    """Return the label of a last step: whether the solution is right, at no cost."""
    return Label(hard=int(solution.is_correct), soft=float(solution.is_correct))


def estimate(rollouts: Sequence[Rollout]) -> Label:
    """Return the Monte Carlo estimates (eq. 3 and 4), with the Wilson interval of eq. 4."""
    total, right = len(rollouts), sum(rollout.is_correct for rollout in rollouts)
    low, high = wilson_interval(right, total)
    return Label(int(right > 0), right / total, total, right, low, high)


def hard_only(rollouts: Sequence[Rollout]) -> Label:
    """Return eq. 3 alone, for rollouts whose number depends on their outcomes."""
    right = sum(rollout.is_correct for rollout in rollouts)
    return Label(hard=int(right > 0), num_rollouts=len(rollouts), num_correct=right)
