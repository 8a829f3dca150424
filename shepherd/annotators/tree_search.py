"""OmegaPRM's Monte Carlo tree search (arXiv 2406.06592, algorithm 1).

States are prefixes; the root's rollouts are the sampled solutions. Each search selects a wrong
rollout of a state, looks for its first error by halving, and adds the states met on the way to
the tree, with their own rollouts to select from later. So compute goes where a wrong rollout
comes from a state that mostly succeeds, which is where an error is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import sqrt
from typing import ClassVar

import polars as pl

from shepherd.annotators.first_error import before_error, num_proven
from shepherd.annotators.problem import Label, Problem, Shown, Wanted
from shepherd.splitting import Method, split_steps

ALPHA, BETA, L, C_PUCT = 0.5, 0.9, 500, 0.125
"""The published constants: weights of a state's value and of a rollout's length, and how much to
explore. The unit of length is not reported: words of five characters here."""


@dataclass
class State:
    """A prefix of the tree: its estimate, its parent's prefix and how often it was selected."""

    prefix: str
    parent: str | None
    value: float
    visits: int = 0
    wrong: list[tuple[str, ...]] = field(default_factory=list)
    """Continuations, as steps, that end in a wrong answer and were not searched yet."""


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

    def ask(self, problem: Problem, shown: Shown) -> Wanted:
        """Ask for the rollouts of the state that the search waits for."""
        return dict.fromkeys(self._grow(problem, shown, {}), self.num_rollouts)

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return hard labels; none of a solution whose first error no search found."""
        labels = []
        for solution in problem.solutions:
            right = num_proven(solution, problem, shown)
            decided = right == len(solution.prefixes) or solution.prefixes[right] in shown
            labels.append(before_error(solution, right, shown) if decided else [])
        return labels

    def tree(self, problem: Problem, shown: Shown) -> pl.DataFrame:
        """Return the tree as data: prefix, parent, value and visits of each state."""
        states: dict[str, State] = {}
        for _ in self._grow(problem, shown, states):
            break
        return pl.DataFrame(
            [(s.prefix, s.parent, s.value, s.visits) for s in states.values()],
            schema={
                "prefix": pl.String(),
                "parent": pl.String(),
                "value": pl.Float64(),
                "visits": pl.Int64(),
            },
            orient="row",
        )

    def _grow(self, problem: Problem, shown: Shown, states: dict[str, State]) -> Iterator[str]:
        """Search with what is shown, filling ``states``; yield the prefix that lacks rollouts."""
        solutions = problem.solutions
        states[""] = State(
            "",
            None,
            sum(solution.is_correct for solution in solutions) / len(solutions),
            wrong=[s.texts for s in solutions if not s.is_correct and s.prefixes],
        )
        for _ in range(self.num_searches):
            state = self._select(states)
            if state is None:
                return
            state.visits += 1
            steps = state.wrong.pop(0)
            right, wrong = 0, len(steps)
            parent = state
            while wrong - right > 1:
                middle = (right + wrong) // 2
                prefix = state.prefix + "".join(steps[:middle])
                if len(shown.get(prefix, ())) < self.num_rollouts:
                    yield prefix
                    return
                if prefix not in states:
                    states[prefix] = self._state(prefix, parent.prefix, shown)
                if states[prefix].value > 0:
                    right, parent = middle, states[prefix]
                else:
                    wrong = middle

    def _state(self, prefix: str, parent: str, shown: Shown) -> State:
        rollouts = shown[prefix]
        value = sum(rollout.is_correct for rollout in rollouts) / len(rollouts)
        # From a state without a right rollout every step is wrong already.
        texts = {r.text: None for r in rollouts if value > 0 and not r.is_correct}
        continuations = (tuple(split_steps(text, self.method)) for text in texts)
        return State(prefix, parent, value, wrong=[c for c in continuations if len(c) > 1])

    def _select(self, states: dict[str, State]) -> State | None:
        """Return the state of the best rollout by Q + U (equations 1 and 2 there)."""
        total = sum(state.visits for state in states.values())

        def score(state: State) -> float:
            length = sum(map(len, state.wrong[0])) / 5
            quality = ALPHA ** (1 - state.value) * BETA ** (length / L)
            return float(quality + C_PUCT * sqrt(total) / (1 + state.visits))

        return max((s for s in states.values() if s.wrong), key=score, default=None)
