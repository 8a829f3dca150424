"""OmegaPRM's Monte Carlo tree search (arXiv 2406.06592, algorithm 1).

States are prefixes; the root's rollouts are the sampled solutions. Each search selects a wrong
rollout of a state, looks for its first error by halving, and adds the states met on the way to
the tree, with their own rollouts to select from later. So compute goes where a wrong rollout
comes from a state that mostly succeeds, which is where an error is.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import sqrt
from typing import ClassVar, Literal

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.first_error import before_error, num_proven
from shepherd.annotators.problem import Label, Problem, Rollout, Rounds, Shown
from shepherd.splitting import Method, split_steps

ALPHA, BETA, L, C_PUCT = 0.5, 0.9, 500, 0.125
"""The published constants: weights of a state's value and of a rollout's length, and how much to
explore. The unit of length is not reported: words of five characters here."""


@dataclass
class State:
    """A prefix of the tree: its parent's prefix, its estimate and how often it was selected."""

    prefix: str
    parent: str | None
    num_rollouts: int
    num_correct: int
    wrong: deque[tuple[str, ...]]
    """Continuations, as steps, that end in a wrong answer and were not searched yet."""
    visits: int = 0

    @property
    def value(self) -> float:
        """The share of its rollouts that are right: MC(s)."""
        return self.num_correct / self.num_rollouts

    @property
    def quality(self) -> float:
        """What speaks for its next wrong rollout: Q (equation 1 there)."""
        length = sum(map(len, self.wrong[0])) / 5
        return float(ALPHA ** (1 - self.value) * BETA ** (length / L))


class Frontier:
    """The states with a rollout to search, ready to be selected.

    What is left of Q + U (equation 2 there) between states of equally many visits is Q, which
    changes with the state alone: so one heap for each number of visits, and only their tops to
    compare.
    """

    def __init__(self) -> None:
        self._heaps: dict[int, list[tuple[float, int, State]]] = defaultdict(list)
        self._total = 0
        self._order: dict[str, int] = {}

    def add(self, state: State) -> None:
        """Let a state be selected, unless nothing is left to search of it."""
        if state.wrong:
            order = self._order.setdefault(state.prefix, len(self._order))
            heappush(self._heaps[state.visits], (-state.quality, order, state))

    def select(self) -> State | None:
        """Take out the best state and count the visit; of equally good ones, the oldest."""

        def score(visits: int) -> tuple[float, int]:
            negated, order, _ = self._heaps[visits][0]
            return -negated + C_PUCT * sqrt(self._total) / (1 + visits), -order

        best = max(
            (visits for visits, heap in self._heaps.items() if heap), key=score, default=None
        )
        if best is None:
            return None
        _, _, state = heappop(self._heaps[best])
        state.visits += 1
        self._total += 1
        return state


@dataclass(frozen=True)
class TreeSearch:
    """``num_searches`` searches a problem, ``num_rollouts`` of each state that one meets.

    Rollouts are cut into steps by ``method``, as solutions were.
    Labels the steps of the solutions whose first error was found; the others stay unlabelled.
    """

    name: ClassVar[str] = "tree_search"
    num_rollouts: int
    num_searches: int
    method: Method = "auto"

    def ask(self, problem: Problem, shown: Shown) -> Rounds:
        """Ask for the rollouts of the state that the search waits for."""
        for prefix in self._grow(problem, shown, {}):
            yield {prefix: self.num_rollouts}

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard labels; none of a solution whose first error no search found."""
        labels = []
        for solution in problem.solutions:
            right = num_proven(solution, problem, shown)
            decided = right == len(solution.prefixes) or solution.prefixes[right] in shown
            labels.append(before_error(solution, right, shown) if decided else [])
        return labels

    def tree(self, problem: Problem, shown: Shown) -> list[State]:
        """Return the states of the tree as far as it is shown, in the order of their discovery.

        The first is the root: its prefix is empty, and its rollouts are the solutions.
        """
        states: dict[str, State] = {}
        next(self._grow(problem, shown, states), None)
        return list(states.values())

    def _grow(self, problem: Problem, shown: Shown, states: dict[str, State]) -> Iterator[str]:
        """Search, filling ``states``; yield each prefix that lacks rollouts, then go on."""
        solutions = problem.solutions
        root = State(
            "",
            None,
            len(solutions),
            sum(solution.is_correct for solution in solutions),
            deque(s.texts for s in solutions if not s.is_correct and s.prefixes),
        )
        states[""], frontier = root, Frontier()
        frontier.add(root)
        for _ in range(self.num_searches):
            state = frontier.select()
            if state is None:
                return
            steps = state.wrong.popleft()
            right, wrong = 0, len(steps)
            parent = state
            while wrong - right > 1:
                middle = (right + wrong) // 2
                prefix = state.prefix + "".join(steps[:middle])
                if prefix not in states:
                    if len(shown.get(prefix, ())) < self.num_rollouts:
                        yield prefix
                    states[prefix] = self._state(prefix, parent.prefix, shown[prefix])
                    frontier.add(states[prefix])
                if states[prefix].num_correct:
                    right, parent = middle, states[prefix]
                else:
                    wrong = middle
            frontier.add(state)

    def _state(self, prefix: str, parent: str, rollouts: Sequence[Rollout]) -> State:
        num_correct = sum(rollout.is_correct for rollout in rollouts)
        # From a state without a right rollout every step is wrong already.
        texts = {r.text: None for r in rollouts if num_correct and not r.is_correct}
        continuations = (tuple(split_steps(text, self.method)) for text in texts)
        wrong = deque(steps for steps in continuations if len(steps) > 1)
        return State(prefix, parent, len(rollouts), num_correct, wrong)


class TreeSearchSettings(RolloutSettings):
    """OmegaPRM's tree search: N rollouts of each state that a search meets."""

    kind: Literal["tree_search"] = Field("tree_search", description="the annotator")
    num_searches: int = Field(100, ge=1, description="searches of a problem, at most")

    def annotator(self, method: Method = "auto") -> TreeSearch:
        """Return the annotator; it cuts rollouts by ``method``."""
        return TreeSearch(self.num_rollouts, self.num_searches, method)
