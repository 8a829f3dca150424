"""The posterior of the first errors in a problem's solutions.

Solutions share their beginnings, so their steps form a tree. A step is in one of three states:
right, wrong, or mended (an error came before, but rollouts succeed as from a right step).
docs/annotators.md explains the model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shepherd.annotators.problem import SolvedProblem

Floats = NDArray[np.float64]

RIGHT, WRONG = 0, 1
REACHED = np.array((1.0, 0.0, 1.0))
"""Whether a last step in each state (right, wrong, mended) gives the right answer."""

SLIP_RATES = np.array((0.02, 0.1, 0.3, 0.6, 0.9))
"""Rates at which the step after a right one is wrong. Each has the same prior probability, drawn
anew after each step: one generator wrote all steps that follow, so they tend to fail together."""

BRANCHING = np.zeros((3, len(SLIP_RATES) + 2))
"""Probability of each situation after a step, by the state of the step: (states, situations). After
a right step there is one situation for each slip rate, after a wrong or mended step only one."""
BRANCHING[RIGHT, :-2] = 1 / len(SLIP_RATES)
BRANCHING[1:, -2:] = np.eye(2)


@dataclass(frozen=True)
class Tree:
    """The steps of a problem's solutions as a tree; node 0, the root, is no step.

    ``prefixes`` holds the text up to and with each step, ``parents`` the node before it. ``paths``
    lead from the root to the last step of each solution; no two solutions share a last step.
    ``outcomes`` says whether each solution is right.
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
    def of(cls, problem: SolvedProblem) -> "Tree":
        """Return the tree of a problem. A parent has a lower number than its children."""
        prefixes, parents, paths = [""], [0], []
        nodes: dict[tuple[str, ...], int] = {}
        for solution in problem.solutions:
            path = [0]
            for count, prefix in enumerate(solution.prefixes, start=1):
                steps = solution.texts[:count]
                if steps not in nodes:
                    nodes[steps] = len(prefixes)
                    prefixes.append(prefix)
                    parents.append(path[-1])
                path.append(nodes[steps])
            paths.append((*path, len(prefixes)))
            prefixes.append("".join(solution.texts))
            parents.append(path[-1])
        outcomes = tuple(solution.is_correct for solution in problem.solutions)
        return cls(tuple(prefixes), tuple(parents), tuple(paths), outcomes)


@dataclass(frozen=True)
class Belief:
    """The posterior of a solution's first error, given all rollouts and answers of its problem.

    ``places``, (K + 1,), is the probability that the first error is in each of the K steps, then
    that there is none. ``wrong``, (K - 1, K + 1), is the part of ``places`` in which a step but the
    last is wrong and not mended.
    """

    places: Floats
    wrong: Floats

    @property
    def right(self) -> Floats:
        """The probability that each step but the last, and all before it, are right: (K - 1,)."""
        return 1 - self.places.cumsum()[: len(self.wrong)]


def believe(tree: Tree, likelihoods: Floats, mending_rate: float) -> list[Belief]:
    """Return the belief about each solution, by sum-product on the tree.

    ``likelihoods``, (nodes, 3), are the probabilities of each step's rollouts if the step is right,
    wrong or mended. The step after a wrong one is mended with the probability ``mending_rate``, and
    the step after a mended one is wrong with the same probability.

    Messages pass from the last steps up to the root. Then each solution is a chain of steps, whose
    links also hold the messages of the branches beside it.
    """
    following = _following(mending_rate)
    evidence = likelihoods.copy()
    for path, is_correct in zip(tree.paths, tree.outcomes, strict=True):
        evidence[path[-1]] = REACHED if is_correct else 1 - REACHED
    # Logarithms do not underflow, and subtraction removes the message of the path itself.
    messages_up = np.zeros((len(tree.parents), len(following)))
    incoming = np.zeros_like(messages_up)
    for step in range(len(tree.parents) - 1, 0, -1):
        below = evidence[step] * (BRANCHING @ _scaled(incoming[step]))
        messages_up[step] = np.log(following @ (below / below.max()))
        incoming[tree.parents[step]] += messages_up[step]
    from_siblings = _scaled(incoming[list(tree.parents)] - messages_up)
    links = evidence[list(tree.parents)][:, :, None] * (
        (BRANCHING * from_siblings[:, None]) @ following
    )
    links /= links.max(axis=(1, 2), keepdims=True)
    return [_along(links[list(path[1:])], evidence[path[-1]]) for path in tree.paths]


def entropy(weights: Floats) -> Floats:
    """Return the sum of weights times the entropy, in bits, of the normalised weights."""
    bits: Floats = _plogp(weights.sum(axis=-1)) - _plogp(weights).sum(axis=-1)
    return bits


def _along(links: Floats, outcome: Floats) -> Belief:
    """Return the belief about one solution.

    ``links``, (K, 3, 3), holds the probability of each step's state given the state before it,
    times the evidence about the state before it. ``outcome``, (3,), is the evidence about the last
    state.
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
    """Return the probability of each state of the next step, by situation: (situations, 3)."""
    slips = [(1 - rate, rate, 0.0) for rate in SLIP_RATES]
    stays, changes = 1 - mending_rate, mending_rate
    return np.array([*slips, (0.0, stays, changes), (0.0, changes, stays)])


def _scaled(logarithms: Floats) -> Floats:
    """Return the exponentials of each row, divided by the largest of the row."""
    shares: Floats = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return shares


def _plogp(weights: Floats) -> Floats:
    positive: Floats = weights * np.log2(np.where(weights > 0, weights, 1))
    return positive
