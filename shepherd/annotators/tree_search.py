"""OmegaPRM's Monte Carlo tree search (arXiv 2406.06592, algorithm 1).

A state is a prefix; the rollouts of the root are the sampled solutions. Each search selects a wrong
rollout of a state and finds its first error by binary search. It adds the states on the way to the
tree, and later searches select among their rollouts. So most compute goes to wrong rollouts of
states that mostly succeed, where an error must follow.
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
from shepherd.annotators.problem import DrawnRollouts, Label, Rollout, Rounds, SolvedProblem
from shepherd.splitting import Method, split_steps

ALPHA, BETA, L, C_PUCT = 0.5, 0.9, 500, 0.125
"""The published constants: weight of a state's value, weight and unit of a rollout's length, and
weight of exploration. The paper does not report the unit of length; here it is a word of five
characters."""


@dataclass
class State:
    """A prefix of the tree: its parent's prefix, its estimate and how often it was selected."""

    prefix: str
    parent: str | None
    num_rollouts: int
    num_correct: int
    wrong: deque[tuple[str, ...]]
    """Wrong rollouts that no search has selected yet, each as its steps."""
    visits: int = 0

    @property
    def value(self) -> float:
        """The share of its rollouts that are right: MC(s)."""
        return self.num_correct / self.num_rollouts

    @property
    def quality(self) -> float:
        """Q of its next wrong rollout (equation 1 of the paper)."""
        length = sum(map(len, self.wrong[0])) / 5
        return float(ALPHA ** (1 - self.value) * BETA ** (length / L))


class Frontier:
    """The states that a search can select: those with a wrong rollout left.

    The score is Q + U (equation 2 of the paper). U depends only on a state's visits and the visits
    of all states, so states with equally many visits rank by Q. There is one heap for each number
    of visits, and a selection compares the tops of the heaps.
    """

    def __init__(self) -> None:
        self._heaps: dict[int, list[tuple[float, int, State]]] = defaultdict(list)
        self._total = 0
        self._order: dict[str, int] = {}

    def add(self, state: State) -> None:
        """Add a state, unless it has no wrong rollout left."""
        if state.wrong:
            order = self._order.setdefault(state.prefix, len(self._order))
            heappush(self._heaps[state.visits], (-state.quality, order, state))

    def select(self) -> State | None:
        """Remove the best state, the oldest of equal ones, and count the visit; None if empty."""

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
    """Searches each problem ``num_searches`` times, with ``num_rollouts`` of each state.

    ``method`` cuts rollouts into steps, as it cut the solutions. Only solutions whose first error
    was found are labelled.
    """

    name: ClassVar[str] = "tree_search"
    num_rollouts: int
    num_searches: int
    method: Method = "auto"

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:
        """Ask for the rollouts of the next state that a search meets."""
        for prefix in self._grow(problem, drawn, {}):
            yield {prefix: self.num_rollouts}

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return hard labels; none for a solution whose first error was not found."""
        labels = []
        for solution in problem.solutions:
            right = num_proven(solution, problem, drawn)
            decided = right == len(solution.prefixes) or solution.prefixes[right] in drawn
            labels.append(before_error(solution, right, drawn) if decided else [])
        return labels

    def tree(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[State]:
        """Return the states that the drawn rollouts give, in the order of their discovery.

        The first is the root: its prefix is empty, and its rollouts are the solutions.
        """
        states: dict[str, State] = {}
        next(self._grow(problem, drawn, states), None)
        return list(states.values())

    def _grow(
        self, problem: SolvedProblem, drawn: DrawnRollouts, states: dict[str, State]
    ) -> Iterator[str]:
        """Search and fill ``states``; yield each prefix that lacks rollouts, and wait for them."""
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
                    if len(drawn.get(prefix, ())) < self.num_rollouts:
                        yield prefix
                    states[prefix] = self._state(prefix, parent.prefix, drawn[prefix])
                    frontier.add(states[prefix])
                if states[prefix].num_correct:
                    right, parent = middle, states[prefix]
                else:
                    wrong = middle
            frontier.add(state)

    def _state(self, prefix: str, parent: str, rollouts: Sequence[Rollout]) -> State:
        num_correct = sum(rollout.is_correct for rollout in rollouts)
        # Without a right rollout the error is before this state: its rollouts show no first error.
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
