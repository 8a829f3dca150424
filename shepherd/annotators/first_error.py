"""Labels from the first error: all steps before it are right, all from it on are wrong.

A rollout that succeeds from a prefix also proves all earlier prefixes of the solution. Unlike
eq. 3, this assumes that no prefix succeeds after one that does not.
"""

from shepherd.annotators.outcomes import outcome, reached
from shepherd.annotators.problem import DrawnRollouts, Label, SolutionSteps, SolvedProblem


def num_proven(solution: SolutionSteps, problem: SolvedProblem, drawn: DrawnRollouts) -> int:
    """Return how many steps of a solution are proven: by a right solution or a rollout."""
    for index in range(len(solution.prefixes), 0, -1):
        prefix = solution.prefixes[index - 1]
        if prefix in problem.proven or reached(drawn, prefix):
            return index
    return 0


def before_error(solution: SolutionSteps, num_right: int, drawn: DrawnRollouts) -> list[Label]:
    """Return hard labels: 1 for the first ``num_right`` steps, then 0; the last is the outcome."""
    labels = []
    for index, prefix in enumerate(solution.prefixes):
        rollouts = drawn.get(prefix, ())
        num_correct = sum(rollout.is_correct for rollout in rollouts)
        labels.append(
            Label(int(index < num_right), num_rollouts=len(rollouts), num_correct=num_correct)
        )
    return [*labels, outcome(solution)]
