"""What is known of the first errors in a problem's solutions: a posterior over all of them.

The steps of the solutions form a tree, as solutions begin alike. A step is right, wrong, or
mended: wrong, but rollouts succeed from it as from a right one. docs/annotators.md says why.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shepherd.annotators.problem import Problem

Floats = NDArray[np.float64]

RIGHT, WRONG = 0, 1
REACHED = np.array((1.0, 0.0, 1.0))
"""Which steps may end in the right answer: right and mended ones, not wrong ones."""

SLIP_RATES = np.array((0.02, 0.1, 0.3, 0.6, 0.9))
"""How often the step after a right one is wrong. Each rate is as probable as the others, anew
after each step: one generator wrote all that follows, so it slips there in all or in few."""

BRANCHING = np.zeros((3, len(SLIP_RATES) + 2))
"""By state of a step: how probable are the situations before the next one. After a right step
there is one for each slip rate; after a wrong or a mended one there is one alone."""
BRANCHING[RIGHT, :-2] = 1 / len(SLIP_RATES)
BRANCHING[1:, -2:] = np.eye(2)


@dataclass(frozen=True)
class Tree:
    """The steps of a problem's solutions, each after the one that it follows; none is the root.

    ``prefixes`` are the texts up to and with each step; ``paths`` lead from the root to the last
    step of each solution, which no two share.
    """

    prefixes: tuple[str, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]
    outcomes: tuple[bool, ...]

    @property
    def to_roll_out(self) -> list[list[int]]:
        """The steps of each solution but for the last."""
        return [list(path[1:-1]) for path in self.paths]

    @classmethod
    def of(cls, problem: Problem) -> "Tree":
        """Return the tree; parents stand before what follows them."""
        prefixes, parents, paths = [""], [0], []
        known: dict[tuple[str, ...], int] = {}
        for solution in problem.solutions:
            path = [0]
            for count, prefix in enumerate(solution.prefixes, start=1):
                steps = solution.texts[:count]
                if steps not in known:
                    known[steps] = len(prefixes)
                    prefixes.append(prefix)
                    parents.append(path[-1])
                path.append(known[steps])
            paths.append((*path, len(prefixes)))
            prefixes.append("".join(solution.texts))
            parents.append(path[-1])
        outcomes = tuple(solution.is_correct for solution in problem.solutions)
        return cls(tuple(prefixes), tuple(parents), tuple(paths), outcomes)


@dataclass(frozen=True)
class Belief:
    """Where the first error of a solution may be, given all rollouts and answers of its problem.

    ``places`` is the probability of each place: of each step, then of none. Of the steps but for
    the last, ``wrong`` holds the part of it with which that step is wrong and not mended.
    """

    places: Floats
    wrong: Floats

    @property
    def right(self) -> Floats:
        """The probability of each step but the last that it is right, and all before it."""
        return 1 - self.places.cumsum()[: len(self.wrong)]


def believe(tree: Tree, likelihoods: Floats, mending_rate: float) -> list[Belief]:
    """Return the belief about each solution.

    ``likelihoods`` are, by step of the tree, the probabilities of its rollouts if it is right,
    wrong or mended. A wrong step is mended by the next one with the probability
    ``mending_rate``; a mended one goes wrong again as often.

    What follows a step is taken in from the last steps to the first, as in any tree of states
    that depend on the one before (sum-product). On each path remain a chain of steps, and beside
    it what its side branches tell.
    """
    following = _following(mending_rate)
    evidence = likelihoods.copy()
    for path, is_correct in zip(tree.paths, tree.outcomes, strict=True):
        evidence[path[-1]] = REACHED if is_correct else 1 - REACHED
    # Logarithms, as many branches would underflow, and as those of a path are taken out again.
    told = np.zeros((len(tree.parents), len(following)))
    heard = np.zeros_like(told)
    for step in range(len(tree.parents) - 1, 0, -1):
        below = evidence[step] * (BRANCHING @ _scaled(heard[step]))
        told[step] = np.log(following @ (below / below.max()))
        heard[tree.parents[step]] += told[step]
    beside = _scaled(heard[list(tree.parents)] - told)
    links = evidence[list(tree.parents)][:, :, None] * ((BRANCHING * beside[:, None]) @ following)
    links /= links.max(axis=(1, 2), keepdims=True)
    return [_along(links[list(path[1:])], evidence[path[-1]]) for path in tree.paths]


def entropy(weights: Floats) -> Floats:
    """Return the entropy in bits of weights once normalised, times their sum."""
    found: Floats = _plogp(weights.sum(axis=-1)) - _plogp(weights).sum(axis=-1)
    return found


def _along(links: Floats, outcome: Floats) -> Belief:
    """Return the belief about one solution.

    ``links[k]`` is, from the state before step k to the state after it, how probable the change
    is together with what is known of the former; ``outcome`` the same of the last state.
    """
    num_steps = len(links)
    ahead = [outcome]
    for link in links[:0:-1]:
        ahead.append(link @ ahead[-1])
    ahead.reverse()
    right = 1.0
    begun = np.zeros((num_steps + 1, 3))
    wrong = np.zeros((num_steps, num_steps + 1))
    for step, link in enumerate(links):
        begun = begun @ link
        begun[step, WRONG] = right * link[RIGHT, WRONG]
        right *= link[RIGHT, RIGHT]
        wrong[step] = begun[:, WRONG] * ahead[step][WRONG]
    places = begun @ outcome
    places[-1] += right * outcome[RIGHT]
    total = places.sum()
    return Belief(places / total, wrong[:-1] / total)


def _following(mending_rate: float) -> Floats:
    """Return, by situation, how probable is each state of the next step."""
    slips = [(1 - rate, rate, 0.0) for rate in SLIP_RATES]
    stays, changes = 1 - mending_rate, mending_rate
    return np.array([*slips, (0.0, stays, changes), (0.0, changes, stays)])


def _scaled(logarithms: Floats) -> Floats:
    """Return what logarithms stand for, as shares of the largest of a row."""
    shares: Floats = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return shares


def _plogp(weights: Floats) -> Floats:
    positive: Floats = weights * np.log2(np.where(weights > 0, weights, 1))
    return positive
