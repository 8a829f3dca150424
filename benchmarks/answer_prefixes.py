"""What is known of each prefix: its place, its rollouts, the belief about it, and its reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.annotated import AnnotatedSolutions
from benchmarks.answer_information import Floats
from benchmarks.answer_reading import AnswerLogs
from shepherd.annotators.first_error_belief import Tree, believe
from shepherd.annotators.problem import Pool, SolvedProblem
from shepherd.annotators.rates import Ints, Rates, likelihoods

READINGS = (
    "logarithm",
    "probability",
    "change of the logarithm",
    "log-odds",
    "share",
    "change of the log-odds",
    "no other answer",
    "logarithm by way",
    "log-odds by way",
)
"""The columns of ``Prefixes.read``: of the gold answer, alone and against the others."""

FLOOR = -20.0
"""Smallest logarithm of a probability, and largest distance of two."""


@dataclass(frozen=True)
class Prefixes:
    """The n distinct prefixes of P problems, each with a step behind it."""

    texts: list[str]
    problems: NDArray[np.int64]
    """By prefix: the number of its problem, (n,)."""

    place: Floats
    """Step, steps left, and whether the solutions through it are right, (n, columns)."""

    read: Floats
    """What the answers' likelihoods say, (n, READINGS)."""

    counts: Ints
    """Successes and failures of its rollouts, (n, 2)."""

    truth: Floats
    """Whether it is right: 0 or 1, (n,)."""

    @classmethod
    def of(
        cls,
        work: AnnotatedSolutions,
        pool: Pool,
        readings: Sequence[Mapping[str, AnswerLogs]],
    ) -> "Prefixes":
        """Gather what is known; ``readings`` are those of each problem."""
        labelled = work.steps.join(work.truth.select("step_id", "hard"), on="step_id")
        truths = dict(labelled.select("prefix_id", "hard").iter_rows())
        texts, problems, place, read, counts, truth = [], [], [], [], [], []
        for number, (problem, logs) in enumerate(zip(work.by_problem, readings, strict=True)):
            for prefix, (parent, *shape) in _places(problem).items():
                prefix_id = problem.prefix_id(prefix)
                texts.append(prefix)
                problems.append(number)
                place.append(shape)
                read.append(_reading(logs[prefix], logs[parent], shape))
                counts.append(_counts(prefix_id, pool))
                truth.append(truths[prefix_id])
        return cls(
            texts,
            np.array(problems),
            np.array(place, np.float64),
            np.array(read),
            np.array(counts),
            np.array(truth, np.float64),
        )


def _places(problem: SolvedProblem) -> dict[str, tuple[str, float, float, float, float, float]]:
    """Return by prefix the prefix before it, and the covariates that cost nothing.

    These are the step, the steps left, the share of the way, the share of right solutions through
    it, and its product with the share of the way.
    """
    tree = Tree.of(problem)
    right, through = np.zeros(len(tree.parents)), np.zeros(len(tree.parents))
    steps = np.zeros(len(tree.parents))
    for path, is_correct in zip(tree.paths, tree.outcomes, strict=True):
        right[list(path)] += is_correct
        through[list(path)] += 1
        steps[list(path)] = range(len(path))
    places = {}
    for node in sorted({node for nodes in tree.steps_to_label for node in nodes}):
        left = float(tree.steps_left[node])
        share, way = right[node] / through[node], steps[node] / (steps[node] + left)
        parent = tree.prefixes[tree.parents[node]]
        places[tree.prefixes[node]] = (parent, steps[node], left, way, share, share * way)
    return places


def _reading(logs: AnswerLogs, before: AnswerLogs, shape: Sequence[float]) -> list[float]:
    """Return ``READINGS`` of a prefix, given the reading of the prefix before it.

    The way is the share of the steps that are written. If no other answer was sampled, there is
    nothing to compare with: the log-odds are 0 and a column of its own says so.
    """
    gold = max(logs.gold, FLOOR)
    distance, distance_before = _distance(logs), _distance(before)
    way = shape[2]
    return [
        gold,
        float(np.exp(gold)),
        gold - max(before.gold, FLOOR),
        distance,
        1 / (1 + float(np.exp(-distance))),
        distance - distance_before,
        float(logs.others is None),
        gold * way,
        distance * way,
    ]


def _distance(logs: AnswerLogs) -> float:
    """Return the log-odds of the gold answer against the others; 0 without others."""
    if logs.others is None:
        return 0.0
    return float(np.clip(logs.gold - logs.others, FLOOR, -FLOOR))


def _counts(prefix_id: str, pool: Pool) -> tuple[int, int]:
    drawn = [one for one in pool.get(prefix_id, ()) if not one.is_error]
    num_right = sum(one.is_correct for one in drawn)
    return num_right, len(drawn) - num_right


def log_odds_right(
    problems: Sequence[SolvedProblem], pool: Pool, rates: Sequence[Rates], num_rollouts: int
) -> list[dict[str, float]]:
    """Return by problem and prefix the log-odds that it is right, after the first rollouts of each.

    It is the belief of ``adaptive`` under ``rates``, those of each problem.
    """
    return [
        _of_problem(problem, pool, of_problem, num_rollouts)
        for problem, of_problem in zip(problems, rates, strict=True)
    ]


def _of_problem(
    problem: SolvedProblem, pool: Pool, rates: Rates, num_rollouts: int
) -> dict[str, float]:
    tree = Tree.of(problem)
    counts = np.zeros((len(tree.prefixes), 2), np.int64)
    for node in {node for steps in tree.steps_to_label for node in steps}:
        prefix_id = problem.prefix_id(tree.prefixes[node])
        counts[node] = _counts(prefix_id, {prefix_id: pool.get(prefix_id, ())[:num_rollouts]})
    evidence = likelihoods(counts, tree.steps_left, rates)
    odds: dict[str, float] = {}
    beliefs = believe(tree, evidence, rates.mending_rate, rates.weights)
    for steps, belief in zip(tree.steps_to_label, beliefs, strict=True):
        right = np.clip(belief.right, 1e-4, 1 - 1e-4)
        logs = np.log(right / (1 - right)).tolist()
        odds.update(zip((tree.prefixes[step] for step in steps), logs, strict=True))
    return odds


def truth_by_step(work: AnnotatedSolutions) -> dict[str, int]:
    """Return the true label of each step, by its id."""
    rows = work.truth.select("step_id", pl.col("hard").cast(pl.Int64)).iter_rows()
    return dict(rows)
