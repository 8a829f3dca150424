"""OmegaPRM's search on a world of long solutions, where it goes deep."""

from random import Random

import pytest

from shepherd.annotators.problem import Replay, Rollout, SolutionSteps, SolvedProblem
from shepherd.annotators.tree_search import State, TreeSearch
from shepherd.identity import content_id
from shepherd.splitting import split_steps

N = 4
NUM_STEPS = 9


def write(rng: Random, prefix: str) -> str:
    """Go on from a prefix to the last step; a slip spoils the rest, now and then luck mends it."""
    done = len(split_steps(prefix)) if prefix else 0
    spoilt, lines = "slip" in prefix, []
    for index in range(done + 1, NUM_STEPS + 1):
        slips = rng.random() < 0.12
        spoilt = (spoilt or slips) and rng.random() > 0.02
        lines.append(f"Step {index}: {'slip' if slips else 'go'} {rng.randint(1, 3)}.")
    return "\n".join(lines) + f"\nThe answer is: {0 if spoilt else 1}"


def is_correct(text: str) -> bool:
    return text.endswith("1")


def problem_of(seed: int) -> SolvedProblem:
    rng = Random(seed)
    texts = sorted({write(rng, "") for _ in range(15)})
    solutions = [
        SolutionSteps(
            f"s{i}", is_correct(text), tuple(f"s{i}.{k}" for k in range(len(steps))), steps
        )
        for i, text in enumerate(texts)
        if (steps := tuple(split_steps(text)))
    ]
    return SolvedProblem(f"p{seed}", "How many?", tuple(solutions))


class Completer(dict[str, list[Rollout]]):
    """A pool that draws every requested rollout; ``asked`` counts the prefixes."""

    def __init__(self, problem: SolvedProblem, asked: list[str]) -> None:
        super().__init__()
        self.problem_id = problem.problem_id
        self.asked = asked

    def draw(self, prefix: str) -> None:
        self.asked.append(prefix)
        prefix_id = content_id(self.problem_id, prefix)
        texts = [write(Random(f"{prefix_id} {index}"), prefix) for index in range(N)]
        self[prefix_id] = [Rollout(is_correct(text), text, 5) for text in texts]


def search(seed: int, num_searches: int) -> tuple[Replay, list[State], list[str]]:
    """Return the finished search of a problem, its tree, and the prefixes in the order asked."""
    problem, asked = problem_of(seed), []
    annotator = TreeSearch(N, num_searches)
    replay, pool = Replay(annotator, problem), Completer(problem, asked)
    while targets := replay.advance(pool):
        for prefix in targets:
            pool.draw(prefix)
    return replay, annotator.tree(problem, replay.drawn), asked


@pytest.mark.parametrize(
    ("num_searches", "digests"),
    [
        (10, ["d248fdf8e767ae2a", "22b9f6d54adad159", "7847d7d0f9d4226b", "a3162c38219dc2dc"]),
        (100, ["3fc8cf32f2c1d0ff", "e511e0afcc843fcf", "0599509cf1ecf9a3", "0b8efc7aa19bb300"]),
    ],
)
def test_the_search_is_the_one_that_compares_all_states_each_time(
    num_searches: int, digests: list[str]
) -> None:
    """Labels, trees and requests as stored before the frontier kept its states in heaps."""
    for seed, expected in enumerate(digests):
        replay, tree, asked = search(seed, num_searches)
        rows = [(state.prefix, state.parent, state.value, state.visits) for state in tree]
        assert content_id(repr(list(replay.labels())), repr(rows), repr(asked)) == expected


def test_the_tree_is_data() -> None:
    replay, tree, asked = search(seed=0, num_searches=100)
    [root, *others] = tree
    solutions = replay.problem.solutions
    assert (root.prefix, root.parent, root.num_rollouts) == ("", None, len(solutions))
    assert root.num_correct == sum(solution.is_correct for solution in solutions)
    assert [state.prefix for state in others] == asked
    known = {state.prefix for state in tree}
    for state in others:
        assert state.parent in known
        assert state.prefix.startswith(state.parent)
        assert state.num_rollouts == N
    # A search goes on from a state with both right and wrong rollouts.
    assert all(0 < state.value < 1 for state in tree if state.visits)
    assert max(state.visits for state in tree) > 1


def test_a_tree_can_be_looked_at_before_the_search_ends() -> None:
    replay, tree, asked = search(seed=0, num_searches=100)
    some = {prefix: replay.drawn[prefix] for prefix in asked[:7]}
    young = TreeSearch(N, 100).tree(replay.problem, some)
    assert [state.prefix for state in young] == [state.prefix for state in tree[:8]]
