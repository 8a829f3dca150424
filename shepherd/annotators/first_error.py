"""Labels by the place of the first error: all steps before it are right, all from it on wrong.

A rollout that succeeds from a prefix proves all earlier prefixes of the solution as well. What
this assumes beyond eq. 3 is that no prefix after a hopeless one can succeed.
"""

from shepherd.annotators.outcomes import outcome, reached
from shepherd.annotators.problem import Label, Problem, Shown, Solution


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
