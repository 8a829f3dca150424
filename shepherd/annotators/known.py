"""The annotators that roll out, by the word that stands for them in a profile."""

from collections.abc import Callable

import polars as pl

from shepherd.annotators.adaptive import Adaptive
from shepherd.annotators.first_error import BinarySearch
from shepherd.annotators.monte_carlo import FirstSuccess, MonteCarlo, OutcomeClosure
from shepherd.annotators.problem import Annotator, label_steps, read_problems, replay_problems
from shepherd.annotators.tree_search import TreeSearch
from shepherd.settings import AnnotationSettings

KNOWN: dict[str, Callable[[AnnotationSettings, int], Annotator]] = {
    "monte_carlo": lambda _, n: MonteCarlo(n),
    "first_success": lambda _, n: FirstSuccess(n),
    "outcome_closure": lambda _, n: OutcomeClosure(n),
    "binary_search": lambda _, n: BinarySearch(n),
    "tree_search": lambda s, n: TreeSearch(n, s.num_searches),
    "adaptive": lambda s, n: Adaptive(
        n, s.confidence, s.success_rate, s.false_success_rate, s.luck
    ),
}


def build_annotators(settings: AnnotationSettings, num_rollouts: int) -> list[Annotator]:
    """Return the annotators of a profile, in its order; N is ``num_rollouts``."""
    return [KNOWN[name](settings, num_rollouts) for name in settings.annotators]


def step_labels(
    settings: AnnotationSettings,
    num_rollouts: int,
    *,
    steps: pl.DataFrame,
    rollouts: pl.DataFrame,
    solutions: pl.DataFrame,
    problems: pl.DataFrame,
) -> pl.DataFrame:
    """Return the ``step_labels`` of all annotators of a profile, from the shared ``rollouts``.

    Raises:
        ValueError: a rollout that an annotator asks for was not drawn.
    """
    gathered = read_problems(steps, solutions, problems)
    return pl.concat(
        label_steps(annotator, steps, replay_problems(annotator, gathered, rollouts))
        for annotator in build_annotators(settings, num_rollouts)
    )
