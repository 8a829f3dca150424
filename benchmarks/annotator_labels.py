"""Labels by each kind of annotator on the demo's solutions, and what they cost."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from benchmarks.annotated import AnnotatedSolutions, CompleterRollouts, shown_tokens
from resources.sampling.critiques import draw_critiques
from resources.sampling.stage import CompletionModel
from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.judge import judge_labels
from shepherd.annotators.kinds import annotator_kinds
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.problem import Annotator, label_steps, replay_problems
from shepherd.settings import AnnotationSettings, JudgeSettings
from training import judge

N = 8
"""Rollouts of a prefix that the annotators ask for, at most."""
SETTINGS = AnnotationSettings.model_validate(
    {
        "annotators": [
            kind
            for kind, section in annotator_kinds().items()
            if issubclass(section, RolloutSettings)
        ]
    }
)
"""Every annotator that rolls out."""
JUDGE = JudgeSettings(
    base="stand-in", template=judge.TEMPLATE, num_votes=1, temperature=0.0, max_tokens=40
)


@dataclass(frozen=True)
class AnnotatorLabels:
    """Labels of one annotator (``step_labels`` rows) and what they cost.

    ``tokens`` counts completion tokens of the completer or of the judge. ``seconds`` is the
    engine's time for these tokens plus the annotator's own.
    """

    name: str
    frame: pl.DataFrame
    tokens: int
    seconds: float


def replay(
    name: str, annotator: Annotator, work: AnnotatedSolutions, rollouts: CompleterRollouts
) -> AnnotatorLabels:
    """Label from raw rollouts; the cost is that of the rollouts that the annotator requested."""
    started = time.perf_counter()
    replays = replay_problems(annotator, work.by_problem, rollouts.rollouts)
    labels = label_steps(annotator, work.steps, replays)
    seconds = time.perf_counter() - started
    tokens = shown_tokens(replays)
    return AnnotatorLabels(name, labels, tokens, seconds + tokens * rollouts.seconds_per_token)


def compute(
    name: str, work: AnnotatedSolutions, label: Callable[[], pl.DataFrame]
) -> AnnotatorLabels:
    """Label without rollouts by calling ``label``."""
    started = time.perf_counter()
    labels = label()
    assert set(labels["step_id"]) <= set(work.steps["step_id"])
    return AnnotatorLabels(name, labels, 0, time.perf_counter() - started)


def judge_solutions(
    work: AnnotatedSolutions, critic: CompletionModel, settings: JudgeSettings = JUDGE
) -> AnnotatorLabels:
    """Draw the critiques of each solution and label from them."""
    critiques = draw_critiques(work.steps, work.problems, critic, settings, work.shard)
    [cost] = critiques.cost.to_dicts()
    labels = judge_labels(work.steps, critiques.frame)
    return AnnotatorLabels("judge", labels, cost["completion_tokens"], cost["seconds"])


def by_budget(
    completer: str, work: AnnotatedSolutions, rollouts: CompleterRollouts
) -> Iterator[AnnotatorLabels]:
    """Yield Monte Carlo with N = 1, 2, 4, 8 and 16 rollouts of a completer."""
    for count in (1, 2, 4, 8, 16):
        yield replay(f"{completer} N={count}", MonteCarlo(count), work, rollouts)
