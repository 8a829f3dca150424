"""Compute the posterior of the first errors in a problem's solutions.

Solutions share their beginnings, so their steps form a tree. Each step is in one of three hidden
states: right, wrong, or mended (an error came before, but rollouts succeed as from a right step).
The states are a Markov chain along each path. docs/annotators.md explains the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shepherd.annotators.problem import SolvedProblem

Floats = NDArray[np.float64]

RIGHT, WRONG = 0, 1
ANSWER_IS_RIGHT = np.array((1.0, 0.0, 1.0))
"""Probability of the right answer after a last step in each state (right, wrong, mended)."""

SLIP_RATES = np.array((0.02, 0.1, 0.3, 0.6, 0.9))
"""Possible probabilities that a step after a right step is wrong, equally likely a priori.

Each right step has one slip rate, and all steps that follow it directly share that rate: the same
generator wrote them, so they tend to be wrong together."""

BRANCHING = np.zeros((3, len(SLIP_RATES) + 2))
"""Probability of each branching situation, given the state of a step: (states, situations).

A situation fixes how the next steps are distributed. After a right step it is one of the slip
rates; a wrong step and a mended step have one situation each."""
BRANCHING[RIGHT, :-2] = 1 / len(SLIP_RATES)
BRANCHING[1:, -2:] = np.eye(2)


@dataclass(frozen=True)
class Tree:
    """The steps of a problem's solutions as a tree. Node 0, the root, is no step."""

    prefixes: tuple[str, ...]
    """By node: the text of the solution up to the end of this step."""

    parents: tuple[int, ...]
    """By node: the node of the step before; it has a lower number."""

    paths: tuple[tuple[int, ...], ...]
    """By solution: the nodes from the root to its last step, which no other solution shares."""

    outcomes: tuple[bool, ...]
    """By solution: whether its answer is right."""

    @property
    def steps_to_label(self) -> list[list[int]]:
        """By solution: the nodes of its steps without the last one."""
        return [list(path[1:-1]) for path in self.paths]

    @cached_property
    def steps_left(self) -> Floats:
        """By node: the steps that follow it, mean over the solutions through it."""
        left, num_solutions = np.zeros(len(self.parents)), np.zeros(len(self.parents))
        for path in self.paths:
            left[list(path)] += range(len(path) - 1, -1, -1)
            num_solutions[list(path)] += 1
        means: Floats = left / np.maximum(num_solutions, 1)
        return means

    @classmethod
    def of(cls, problem: SolvedProblem) -> "Tree":
        """Return the tree of a problem's solutions."""
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
    """The posterior of a solution of K steps, given all rollouts and answers of its problem.

    The problem's difficulty is one of D. The arrays are joint probabilities with the difficulty.
    """

    first_error: Floats
    """The probability that each step is the first error, then that there is none: (D, K + 1)."""

    wrong: Floats
    """The joint probability that step i is wrong (not mended) and the first error is j, without the
    last step i: (D, K - 1, K + 1)."""

    @property
    def right(self) -> Floats:
        """The probability that step i and all steps before it are right: (K - 1,)."""
        wrong_so_far: Floats = self.first_error.sum(axis=0).cumsum()[: self.wrong.shape[1]]
        return 1 - wrong_so_far


def believe(
    tree: Tree, likelihoods: Floats, mending_rate: float, weights: Sequence[float]
) -> list[Belief]:
    """Return the belief about each solution, by sum-product on the tree.

    ``likelihoods``, (D, nodes, 3), are the probabilities of each step's rollouts if the step is
    right, wrong or mended, for each of the D difficulties that the problem may have; ``weights``
    are the prior probabilities of these. The step after a wrong one is mended with probability
    ``mending_rate``, and the step after a mended one is wrong with the same probability.

    Messages pass from the last steps up to the root. Then the belief about a solution is computed
    along its own path; the messages of the branches that leave the path join as evidence.
    """
    following = following_of(mending_rate)
    evidence = likelihoods.copy()
    for path, is_correct in zip(tree.paths, tree.outcomes, strict=True):
        evidence[:, path[-1]] = ANSWER_IS_RIGHT if is_correct else 1 - ANSWER_IS_RIGHT
    # Logarithms do not underflow, and subtraction removes the message of the path itself.
    messages_up = np.zeros((*evidence.shape[:2], len(following)))
    incoming = np.zeros_like(messages_up)
    logs = np.log(weights)
    for step in range(len(tree.parents) - 1, 0, -1):
        below = evidence[:, step] * (scaled(incoming[:, step]) @ BRANCHING.T)
        largest = below.max(axis=1)
        logs += np.log(largest) + incoming[:, step].max(axis=1)
        messages_up[:, step] = np.log((below / largest[:, None]) @ following.T)
        incoming[:, tree.parents[step]] += messages_up[:, step]
    logs += incoming[:, 0].max(axis=1) + np.log(scaled(incoming[:, 0]) @ BRANCHING[RIGHT])
    difficulties = scaled(logs)
    difficulties /= difficulties.sum()
    from_siblings = scaled(incoming[:, list(tree.parents)] - messages_up)
    links = evidence[:, list(tree.parents)][..., None] * (
        (BRANCHING * from_siblings[:, :, None]) @ following
    )
    links /= links.max(axis=(2, 3), keepdims=True)
    return [
        _along(links[:, list(path[1:])], evidence[:, path[-1]], difficulties) for path in tree.paths
    ]


def entropy(weights: Floats) -> Floats:
    """Return W times the entropy, in bits, of each row of weights divided by its sum W."""
    bits: Floats = _plogp(weights.sum(axis=-1)) - _plogp(weights).sum(axis=-1)
    return bits


def _along(links: Floats, outcome: Floats, difficulties: Floats) -> Belief:
    """Return the belief about one solution, by forward and backward messages along its K steps.

    ``links``, (D, K, 3, 3), are the probabilities of each step's state given the state before it,
    times the evidence about the state before it. ``outcome``, (D, 3), is the evidence about the
    last state. ``difficulties``, (D,), are the probabilities of the difficulties. ``forward``,
    (D, K + 1, 3), are the messages to the present step, by first error and state.
    """
    num_difficulties, num_steps = links.shape[:2]
    backward = [outcome]
    for step in range(num_steps - 1, 0, -1):
        backward.append((links[:, step] @ backward[-1][..., None])[..., 0])
    backward.reverse()
    right = np.ones(num_difficulties)
    forward = np.zeros((num_difficulties, num_steps + 1, 3))
    wrong = np.zeros((num_difficulties, num_steps, num_steps + 1))
    for step in range(num_steps):
        link = links[:, step]
        forward = forward @ link
        forward[:, step, WRONG] = right * link[:, RIGHT, WRONG]
        right = right * link[:, RIGHT, RIGHT]
        wrong[:, step] = forward[:, :, WRONG] * backward[step][:, None, WRONG]
    first_error = (forward @ outcome[..., None])[..., 0]
    first_error[:, -1] += right * outcome[:, RIGHT]
    shares = (difficulties / first_error.sum(axis=1))[:, None]
    return Belief(first_error * shares, wrong[:, :-1] * shares[..., None])


def following_of(mending_rate: float) -> Floats:
    """Return the probability of each state of the next step, by situation: (situations, 3)."""
    slips = [(1 - rate, rate, 0.0) for rate in SLIP_RATES]
    stays, changes = 1 - mending_rate, mending_rate
    return np.array([*slips, (0.0, stays, changes), (0.0, changes, stays)])


def scaled(logarithms: Floats) -> Floats:
    """Return the exponentials of each row, divided by the largest of the row."""
    scaled: Floats = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return scaled


def _plogp(weights: Floats) -> Floats:
    """Return w log2(w) of each weight; 0 for a weight of 0."""
    products: Floats = weights * np.log2(np.where(weights > 0, weights, 1))
    return products
