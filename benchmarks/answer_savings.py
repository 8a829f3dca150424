"""How many tokens would ``adaptive`` save if its belief took the answer's likelihood as covariate?

A replay on rollouts that are drawn. The likelihood behind a prefix changes the prior odds that the
prefix is right or mended against wrong, by a factor that is fitted on other problems.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.annotated import AnnotatedSolutions, shown_tokens
from benchmarks.answer_information import Floats, ratio_interval
from benchmarks.report import Result
from shepherd.agreement import SURE
from shepherd.annotators.adaptive import Adaptive, Counts
from shepherd.annotators.first_error_belief import WRONG, Belief, Tree, believe
from shepherd.annotators.problem import Pool, Replay, SolvedProblem
from shepherd.annotators.rates import Rates, likelihoods


@dataclass(frozen=True)
class Informed(Adaptive):
    """``adaptive`` whose belief starts from the odds that a reading of the answers gives.

    ``log_odds`` are added to the logarithm of the odds that a prefix is not wrong, by its text.
    """

    log_odds: Mapping[str, float] = field(default_factory=dict)

    def _believe(self, tree: Tree, counts: Counts) -> list[Belief]:
        rates = self.rates
        evidence = likelihoods(counts[:, :2], tree.steps_left, rates)
        odds = np.array([self.log_odds.get(prefix, 0.0) for prefix in tree.prefixes])
        evidence[..., WRONG] *= np.exp(-odds)
        return believe(tree, evidence, rates.mending_rate, rates.weights)


@dataclass(frozen=True)
class Labelled:
    """What labels of P problems cost and how right they are, by problem, each (P,)."""

    tokens: Floats
    labels: Floats
    right: Floats
    """Labels that the truth confirms."""
    losses: Floats
    """Sums of the cross entropy of soft labels, in nats."""


def label(
    work: AnnotatedSolutions,
    pool: Pool,
    annotators: Sequence[Adaptive],
    truth: Mapping[str, int],
) -> Labelled:
    """Label each problem by its own annotator, from rollouts that are drawn.

    ``truth`` is the true label by step id.
    """
    rows = [
        _of_problem(annotator, problem, pool, truth)
        for annotator, problem in zip(annotators, work.by_problem, strict=True)
    ]
    return Labelled(*np.array(rows, np.float64).T)


def _of_problem(
    annotator: Adaptive, problem: SolvedProblem, pool: Pool, truth: Mapping[str, int]
) -> tuple[float, int, int, float]:
    """Return tokens, labels, right labels and the sum of the cross entropies of a problem."""
    replay = Replay(annotator, problem)
    lacking = replay.advance(pool)
    assert not lacking, "all rollouts of the pilot are drawn"
    last = {solution.step_ids[-1] for solution in problem.solutions}
    labels = [(truth[step], one) for step, one in replay.labels() if step not in last]
    soft = np.clip([one.soft for _, one in labels], 1 - SURE, SURE)
    is_right = np.array([true for true, _ in labels], np.bool_)
    losses = -np.log(np.where(is_right, soft, 1 - soft))
    num_right = sum(one.hard == true for true, one in labels)
    return shown_tokens([replay]), len(labels), num_right, float(losses.sum())


def compare(
    name: str, one: Labelled, today: Labelled, weights: NDArray[np.int64]
) -> Iterator[Result]:
    """Yield tokens and accuracy of a variant, and its paired differences to today's annotator."""
    num_labels = one.labels.sum()
    yield Result(f"{name}: tokens a label", float(one.tokens.sum() / num_labels), "tokens")
    yield Result(f"{name}: accuracy", float(one.right.sum() / num_labels), "share")
    yield Result(f"{name}: cross entropy", float(one.losses.sum() / num_labels), "nats")
    if one is today:
        return
    problems = np.arange(len(one.labels))
    pairs = {
        "tokens, of today's": (one.tokens, today.tokens, "share"),
        "accuracy, gain": (one.right - today.right, one.labels, "share"),
        "cross entropy, change": (one.losses - today.losses, one.labels, "nats"),
    }
    for measured, (parts, totals, unit) in pairs.items():
        yield Result(f"{name}: {measured}", float(parts.sum() / totals.sum()), unit)
        low, high = ratio_interval(parts, totals, problems, weights)
        yield Result(f"{name}: {measured}, low", low, unit)
        yield Result(f"{name}: {measured}, high", high, unit)


def annotators_of(
    rates: Sequence[Rates],
    num_rollouts: int,
    confidence: float,
    log_odds: Sequence[Mapping[str, float]],
) -> list[Adaptive]:
    """Return an annotator for each problem, from rates and odds that others were fitted for."""
    return [
        Informed(num_rollouts, confidence, of_rates, of_odds)
        for of_rates, of_odds in zip(rates, log_odds, strict=True)
    ]
