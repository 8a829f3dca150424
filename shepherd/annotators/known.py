"""The annotators, by the word that stands for them in a profile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from shepherd.annotators.adaptive import Adaptive
from shepherd.annotators.consensus import consensus_labels
from shepherd.annotators.counting import monte_carlo_labels
from shepherd.annotators.first_error import BinarySearch
from shepherd.annotators.judge import judge_labels
from shepherd.annotators.monte_carlo import FirstSuccess, MonteCarlo, OutcomeClosure
from shepherd.annotators.nli import Entails, nli_labels
from shepherd.annotators.problem import (
    Annotator,
    label_steps,
    read_problems,
    replay_problems,
)
from shepherd.annotators.rule import rule_labels
from shepherd.annotators.tree_search import TreeSearch
from shepherd.oracle import oracle_labels
from shepherd.schemas import CRITIQUES, ROLLOUTS
from shepherd.splitting import Method

if TYPE_CHECKING:
    # At run time it is the settings that read the words from here.
    from shepherd.settings import AnnotationSettings


@dataclass(frozen=True)
class Work:
    """What annotators read: frames as in the schemas, and an entailment model for ``nli``.

    ``method`` is how the steps were cut. What the annotators in question do not read can be left
    out.
    """

    steps: pl.DataFrame
    solutions: pl.DataFrame
    problems: pl.DataFrame
    rollouts: pl.DataFrame = field(default_factory=ROLLOUTS.empty)
    critiques: pl.DataFrame = field(default_factory=CRITIQUES.empty)
    entails: Entails | None = None
    method: Method = "auto"


ROLLING: "dict[str, Callable[[AnnotationSettings, int, Method], Annotator]]" = {
    "monte_carlo": lambda _, n, __: MonteCarlo(n),
    "first_success": lambda _, n, __: FirstSuccess(n),
    "outcome_closure": lambda _, n, __: OutcomeClosure(n),
    "binary_search": lambda _, n, __: BinarySearch(n),
    "tree_search": lambda s, n, method: TreeSearch(n, s.num_searches, method),
    "adaptive": lambda s, n, _: Adaptive(
        n, s.confidence, s.success_rate, s.false_success_rate, s.mending_rate
    ),
}
"""Those that roll out, from the settings, N and how steps are cut."""

COUNTING = {"monte_carlo": monte_carlo_labels}
"""Those of them whose labels are computed by columns, from N and what there is to read."""

READING: dict[str, Callable[[Work], pl.DataFrame]] = {
    "oracle": lambda w: oracle_labels(w.steps, w.problems),
    "judge": lambda w: judge_labels(w.steps, w.critiques),
    "rule": lambda w: rule_labels(w.steps, w.solutions, w.problems),
    "nli": lambda w: nli_labels(w.steps, w.solutions, w.problems, _opened(w.entails), w.method),
}
"""Those that do not, from what there is to read."""


def build_annotators(
    settings: "AnnotationSettings", num_rollouts: int, method: Method = "auto"
) -> list[Annotator]:
    """Return the annotators of a profile that roll out, in its order; N is ``num_rollouts``."""
    return [
        ROLLING[name](settings, num_rollouts, method)
        for name in settings.annotators
        if name in ROLLING
    ]


def labels_by(
    name: str, settings: "AnnotationSettings", num_rollouts: int, work: Work
) -> pl.DataFrame:
    """Return the ``step_labels`` of one annotator.

    Raises:
        ValueError: a rollout that it asks for was not drawn, or no oracle knows the problems.
    """
    if name in READING:
        return READING[name](work)
    if name in COUNTING:
        return COUNTING[name](num_rollouts, work.steps, work.solutions, work.rollouts)
    annotator = ROLLING[name](settings, num_rollouts, work.method)
    problems = read_problems(work.steps, work.solutions, work.problems)
    replays = replay_problems(annotator, problems, work.rollouts)
    return label_steps(annotator, work.steps, replays)


def all_labels(
    found: Mapping[str, pl.DataFrame], consensus: tuple[str, str] | None, steps: pl.DataFrame
) -> pl.DataFrame:
    """Return the labels of several annotators, by their words, and of two's consensus as one."""
    labels = list(found.values())
    if consensus is not None:
        first, second = (found[name] for name in consensus)
        labels.append(consensus_labels(first, second, steps))
    return pl.concat(labels)


def step_labels(settings: "AnnotationSettings", num_rollouts: int, work: Work) -> pl.DataFrame:
    """Return the ``step_labels`` of all annotators of a profile, and their consensus if wanted.

    Raises:
        ValueError: as :func:`labels_by`.
    """
    found = {name: labels_by(name, settings, num_rollouts, work) for name in settings.annotators}
    return all_labels(found, settings.consensus, work.steps)


def _opened(entails: Entails | None) -> Entails:
    assert entails is not None, "the annotator nli needs an entailment model"
    return entails
