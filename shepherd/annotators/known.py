"""The annotators, by the word that stands for them in a profile."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from shepherd.annotators.adaptive import Adaptive
from shepherd.annotators.consensus import consensus_labels
from shepherd.annotators.counting import monte_carlo_labels
from shepherd.annotators.first_error import BinarySearch
from shepherd.annotators.monte_carlo import FirstSuccess, MonteCarlo, OutcomeClosure
from shepherd.annotators.nli import Entails, nli_labels
from shepherd.annotators.problem import Annotator, label_steps, read_problems, replay_problems
from shepherd.annotators.rule import rule_labels
from shepherd.annotators.tree_search import TreeSearch
from shepherd.schemas import STEP_LABELS
from shepherd.settings import AnnotationSettings
from shepherd.splitting import Method


@dataclass(frozen=True)
class Work:
    """What annotators read: frames as in the schemas, and an entailment model for ``nli``.

    ``method`` is how the steps were cut.
    """

    steps: pl.DataFrame
    solutions: pl.DataFrame
    problems: pl.DataFrame
    rollouts: pl.DataFrame
    entails: Entails | None = None
    method: Method = "auto"


ROLLING: dict[str, Callable[[AnnotationSettings, int, Method], Annotator]] = {
    "monte_carlo": lambda _, n, __: MonteCarlo(n),
    "first_success": lambda _, n, __: FirstSuccess(n),
    "outcome_closure": lambda _, n, __: OutcomeClosure(n),
    "binary_search": lambda _, n, __: BinarySearch(n),
    "tree_search": lambda s, n, method: TreeSearch(n, s.num_searches, method),
    "adaptive": lambda s, n, _: Adaptive(
        n, s.confidence, s.success_rate, s.false_success_rate, s.luck
    ),
}
"""Those that roll out, from the settings, N and how steps are cut."""

COUNTING = {"monte_carlo": monte_carlo_labels}
"""Those of them whose labels are computed by columns, from N and what there is to read."""

READING: dict[str, Callable[[Work], pl.DataFrame]] = {
    "rule": lambda w: rule_labels(w.steps, w.solutions, w.problems),
    "nli": lambda w: nli_labels(w.steps, w.solutions, w.problems, _opened(w.entails), w.method),
}
"""Those that compare with right solutions, from what there is to read."""


def build_annotators(
    settings: AnnotationSettings, num_rollouts: int, method: Method = "auto"
) -> list[Annotator]:
    """Return the annotators of a profile that roll out, in its order; N is ``num_rollouts``."""
    return [
        ROLLING[name](settings, num_rollouts, method)
        for name in settings.annotators
        if name in ROLLING
    ]


def step_labels(settings: AnnotationSettings, num_rollouts: int, work: Work) -> pl.DataFrame:
    """Return the ``step_labels`` of all annotators of a profile, and their consensus if wanted.

    Raises:
        ValueError: a rollout that an annotator asks for was not drawn.
    """
    replayed = [name for name in settings.annotators if name in ROLLING and name not in COUNTING]
    gathered = read_problems(work.steps, work.solutions, work.problems) if replayed else []
    labels: dict[str, pl.DataFrame] = {}
    for name in settings.annotators:
        if name in READING:
            labels[name] = READING[name](work)
        elif name in COUNTING:
            labels[name] = COUNTING[name](num_rollouts, work.steps, work.solutions, work.rollouts)
        else:
            annotator = ROLLING[name](settings, num_rollouts, work.method)
            replays = replay_problems(annotator, gathered, work.rollouts)
            labels[name] = label_steps(annotator, work.steps, replays)
    if settings.consensus is not None:
        first, second = (labels[name] for name in settings.consensus)
        labels["consensus"] = consensus_labels(first, second, work.steps)
    return pl.concat(labels.values()).select(STEP_LABELS.schema.keys())


def _opened(entails: Entails | None) -> Entails:
    assert entails is not None, "the annotator nli needs an entailment model"
    return entails
