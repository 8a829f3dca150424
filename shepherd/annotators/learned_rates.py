"""Learn the rates of ``adaptive`` from a pilot.

:func:`learn_rates` maximizes the posterior probability of the rates by expectation maximization
(Dempster, Laird and Rubin, 1977). The expectations are those of the sum-product of
:mod:`shepherd.annotators.first_error_belief`, over all problems of the pilot at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shepherd.annotators.first_error_belief import (
    ANSWER_IS_RIGHT,
    BRANCHING,
    RIGHT,
    WRONG,
    Floats,
    Tree,
    following_of,
    scaled,
)
from shepherd.annotators.problem import Pool, SolvedProblem
from shepherd.annotators.rates import Ints, Rates, likelihood, likelihoods

MENDED = 2

STEP_RATES = (0.05, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.96, 0.99)
"""Possible shares of right completions of one step: those of hard to those of easy problems."""

MEANS = 1 / (1 + np.exp(-np.linspace(-7, 5, 121)))
CONCENTRATIONS = np.geomspace(0.2, 30, 21)
"""The means and concentrations among which those of the Beta distributions are chosen."""

LOGIT_SPREAD, CONCENTRATION_SPREAD = 1.5, 1.0
"""Standard deviations of the priors: of the logit of a mean, of the logarithm of a concentration.

The priors are centred on the rates of the settings. So a pilot without rollouts leaves them."""

MENDING_STRENGTH = 50.0
"""Steps after wrong steps that the prior of the mending rate counts as."""

DIFFICULTY_STRENGTH = 2.0
"""Problems that the prior of the difficulties counts as."""

MAX_ITERATIONS = 200
TOLERANCE = 1e-3
"""Learning ends when no rate changes by more."""


def learn_rates(problems: Sequence[SolvedProblem], pool: Pool, start: Rates) -> Rates:
    """Return the rates under which a pilot's rollouts and answers are most probable.

    ``pool`` holds rollouts of the prefixes. Which prefixes have rollouts must not depend on their
    outcomes. ``start`` is the centre of the priors; it is returned if there are no problems.
    """
    if not problems:
        return start
    forest = _Forest.of(problems, pool)
    [mean] = start.success_rates
    weights = np.exp(-0.5 * ((_logit(np.array(STEP_RATES)) - _logit(mean)) / LOGIT_SPREAD) ** 2)
    prior = replace(
        start,
        success_rates=STEP_RATES,
        weights=tuple((weights / weights.sum()).tolist()),
        of_each_step=True,
    )
    rates = prior
    for _ in range(MAX_ITERATIONS):
        before, rates = rates, _maximized(_expected(forest, rates), forest, prior)
        if np.allclose(_numbers(before), _numbers(rates), rtol=0, atol=TOLERANCE):
            break
    return rates


@dataclass(frozen=True)
class _Forest:
    """The trees of P problems, with one numbering of their n nodes."""

    parents: Ints
    """By node: the node of the step before; a root is its own, (n,)."""

    levels: tuple[Ints, ...]
    """The nodes of each depth, from that of the first steps on."""

    problems: Ints
    """By node: the number of its problem, (n,)."""

    steps_left: Floats
    """By node: the steps that follow it, (n,)."""

    counts: Ints
    """Successes and failures of each node's rollouts, (n, 2)."""

    answers: Floats
    """Probability of each last step's answer by state, 1 for other steps: (n, 3)."""

    @classmethod
    def of(cls, problems: Sequence[SolvedProblem], pool: Pool) -> "_Forest":
        trees = [Tree.of(problem) for problem in problems]
        sizes = [len(tree.parents) for tree in trees]
        firsts = np.cumsum([0, *sizes[:-1]])
        depths: list[int] = []
        for first, tree in zip(firsts.tolist(), trees, strict=True):
            for node, parent in enumerate(tree.parents):
                depths.append(depths[first + parent] + 1 if node else 0)
        return cls(
            np.concatenate([tree.parents for tree in trees]) + np.repeat(firsts, sizes),
            tuple(np.flatnonzero(np.array(depths) == at) for at in range(1, max(depths) + 1)),
            np.repeat(np.arange(len(trees)), sizes),
            np.concatenate([tree.steps_left for tree in trees]),
            np.concatenate([_counts(*each, pool) for each in zip(problems, trees, strict=True)]),
            np.concatenate([_answers(tree) for tree in trees]),
        )


def _counts(problem: SolvedProblem, tree: Tree, pool: Pool) -> Ints:
    """Return the successes and failures of each node of a problem; errors are neither."""
    counts = np.zeros((len(tree.prefixes), 2), np.int64)
    for node in {node for steps in tree.steps_to_label for node in steps}:
        for rollout in pool.get(problem.prefix_id(tree.prefixes[node]), ()):
            if not rollout.is_error:
                counts[node, int(not rollout.is_correct)] += 1
    return counts


def _answers(tree: Tree) -> Floats:
    """Return the probability of each last step's answer by state, and 1 for other steps."""
    answers = np.ones((len(tree.parents), 3))
    for path, is_correct in zip(tree.paths, tree.outcomes, strict=True):
        answers[path[-1]] = ANSWER_IS_RIGHT if is_correct else 1 - ANSWER_IS_RIGHT
    return answers


@dataclass(frozen=True)
class _Expected:
    """Expectations of the hidden states and difficulties, given rates."""

    states: Floats
    """Joint probability of difficulty and state by node, (D, n, 3)."""

    difficulties: Floats
    """Probability of each difficulty by problem, (D, P)."""

    num_changed: float
    """Expected number of steps at which wrong becomes mended, or mended wrong."""

    num_hidden: float
    """Expected number of steps after a wrong or mended one."""


def _expected(forest: _Forest, rates: Rates) -> _Expected:
    """Return the expectations of the hidden states by messages up and down all trees."""
    following = following_of(rates.mending_rate)
    evidence = forest.answers * likelihoods(forest.counts, forest.steps_left, rates)
    incoming = np.zeros((*evidence.shape[:2], len(following)))
    messages = np.zeros_like(incoming)
    below = np.ones_like(evidence)
    logs = np.zeros(evidence.shape[:2])
    for level in reversed(forest.levels):
        states = evidence[:, level] * (scaled(incoming[:, level]) @ BRANCHING.T)
        largest = states.max(axis=2)
        logs[:, level] = np.log(largest) + incoming[:, level].max(axis=2)
        below[:, level] = states / largest[..., None]
        messages[:, level] = np.log(below[:, level] @ following.T)
        np.add.at(incoming.swapaxes(0, 1), forest.parents[level], messages[:, level].swapaxes(0, 1))
    roots = np.flatnonzero(forest.parents == np.arange(len(forest.parents)))
    logs[:, roots] = incoming[:, roots].max(axis=2)
    logs[:, roots] += np.log(scaled(incoming[:, roots]) @ BRANCHING[RIGHT])
    totals = np.add.reduceat(logs, roots, axis=1) + np.log(rates.weights)[:, None]
    difficulties = _shares(scaled(totals.T)).T
    shares = difficulties[:, forest.problems]
    above = np.zeros_like(evidence)
    above[..., RIGHT] = 1.0
    num_changed = num_hidden = 0.0
    for level in forest.levels:
        parents = forest.parents[level]
        situations = (above[:, parents] * evidence[:, parents]) @ BRANCHING
        situations *= scaled(incoming[:, parents] - messages[:, level])
        pairs = situations[..., None] * following * below[:, level][:, :, None]
        pairs *= (shares[:, level] / pairs.sum(axis=(2, 3)))[..., None, None]
        num_hidden += pairs[:, :, -2:].sum()
        num_changed += pairs[:, :, -2, MENDED].sum() + pairs[:, :, -1, WRONG].sum()
        above[:, level] = _shares(situations @ following)
    states = _shares(above * below) * shares[..., None]
    return _Expected(states, difficulties, float(num_changed), float(num_hidden))


def _maximized(expected: _Expected, forest: _Forest, prior: Rates) -> Rates:
    """Return the most probable rates if the hidden states are as expected."""
    is_wrong = expected.states[..., WRONG]
    is_right = expected.states.sum(axis=2) - is_wrong
    means = prior.right_means(forest.steps_left)
    fits = [
        (is_right * np.log(likelihood(means, one, *forest.counts.T))).sum()
        + _log_prior_of_concentration(one, prior.right_concentration)
        for one in CONCENTRATIONS
    ]
    false_success_rate, wrong_concentration = _wrong(forest.counts, is_wrong.sum(axis=0), prior)
    weights = expected.difficulties.sum(axis=1) + DIFFICULTY_STRENGTH * np.array(prior.weights)
    num_changed = expected.num_changed + MENDING_STRENGTH * prior.mending_rate
    return replace(
        prior,
        false_success_rate=false_success_rate,
        mending_rate=num_changed / (expected.num_hidden + MENDING_STRENGTH),
        weights=tuple((weights / weights.sum()).tolist()),
        right_concentration=float(CONCENTRATIONS[np.argmax(fits)]),
        wrong_concentration=wrong_concentration,
    )


def _wrong(counts: Ints, weights: Floats, prior: Rates) -> tuple[float, float]:
    """Return mean and concentration of the success rates of wrong prefixes.

    ``weights``, (n,), are the probabilities that each node is wrong.
    """
    distinct, rows = np.unique(counts, axis=0, return_inverse=True)
    totals = np.bincount(rows.reshape(-1), weights)
    logs = np.log(likelihood(MEANS[:, None, None], CONCENTRATIONS[:, None], *distinct.T))
    distances = (_logit(MEANS) - _logit(prior.false_success_rate)) / LOGIT_SPREAD
    fit = logs @ totals - 0.5 * distances[:, None] ** 2
    fit += _log_prior_of_concentration(CONCENTRATIONS, prior.wrong_concentration)
    row, column = np.unravel_index(fit.argmax(), fit.shape)
    return float(MEANS[row]), float(CONCENTRATIONS[column])


def _log_prior_of_concentration(concentration: Floats, centre: float) -> Floats:
    distances: Floats = np.log(concentration / centre) / CONCENTRATION_SPREAD
    return -0.5 * distances**2


def _logit(share: float | Floats) -> Floats:
    odds: Floats = np.log(share / (1 - np.asarray(share)))
    return odds


def _numbers(rates: Rates) -> list[float]:
    """Return the rates that are learned."""
    single = (rates.false_success_rate, rates.mending_rate)
    return [*rates.weights, *single, rates.right_concentration, rates.wrong_concentration]


def _shares(weights: Floats) -> Floats:
    """Return weights divided by their sums over the last axis."""
    shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return shares
