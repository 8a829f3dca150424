from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.annotators.adaptive import MIN_INFORMATION, Adaptive
from shepherd.annotators.first_error_belief import SLIP_RATES, Tree, believe, entropy
from shepherd.annotators.problem import DrawnRollouts, Label, Rollout, SolutionSteps, SolvedProblem
from shepherd.annotators.rates import Rates

MENDING = 0.05
ADAPTIVE = Adaptive(8, confidence=0.97, rates=Rates((0.9,), 0.02, MENDING))


def problem_of(*solutions: tuple[str, bool]) -> SolvedProblem:
    """Return a problem with solutions of one-letter steps."""
    return SolvedProblem(
        "p",
        "How many?",
        tuple(
            SolutionSteps(
                f"s{k}", is_correct, tuple(f"s{k}.{i}" for i in range(len(text))), tuple(text)
            )
            for k, (text, is_correct) in enumerate(solutions)
        ),
    )


def shown_of(**found: str) -> DrawnRollouts:
    """Return rollouts by prefix: ``"10e"`` stands for a success, a failure and an error."""
    return {
        prefix: [Rollout(mark == "1", "", is_error=mark == "e") for mark in marks]
        for prefix, marks in found.items()
    }


def labels_of(problem: SolvedProblem, **found: str) -> list[list[Label]]:
    """Return the labels but for those of last steps."""
    return [labels[:-1] for labels in ADAPTIVE.label(problem, shown_of(**found))]


def soft_of(problem: SolvedProblem, **found: str) -> list[list[float]]:
    return [[label.soft or 0.0 for label in labels] for labels in labels_of(problem, **found)]


def by_enumeration(tree: Tree, likelihoods: np.ndarray) -> list[np.ndarray]:
    """Return the probability of each place of the first error, from all states there can be."""
    changes = {1: (0.0, 1 - MENDING, MENDING), 2: (0.0, MENDING, 1 - MENDING)}
    num_steps = len(tree.parents)
    places = [np.zeros(len(path)) for path in tree.paths]
    ends = {path[-1]: ok for path, ok in zip(tree.paths, tree.outcomes, strict=True)}
    for others in product(range(3), repeat=num_steps - 1):
        states = (0, *others)
        if any((states[end] != 1) != is_correct for end, is_correct in ends.items()):
            continue
        weight = prod(likelihoods[k, states[k]] for k in range(1, num_steps) if k not in ends)
        for parent in range(num_steps):
            after = [states[k] for k in range(1, num_steps) if tree.parents[k] == parent]
            if states[parent] == 0:
                slips = (prod((1 - e, e, 0.0)[state] for state in after) for e in SLIP_RATES)
                weight *= sum(slips) / len(SLIP_RATES)
            else:
                weight *= prod(changes[states[parent]][state] for state in after)
        for place, path in zip(places, tree.paths, strict=True):
            wrong = [k for k, step in enumerate(path[1:]) if states[step]]
            place[wrong[0] if wrong else -1] += weight
    return [place / place.sum() for place in places]


SOLUTIONS = st.lists(
    st.tuples(st.sampled_from(["ab", "abc", "abd", "acd", "b", "bcd"]), st.booleans()),
    min_size=1,
    max_size=3,
)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(SOLUTIONS, st.integers(0, 1000))
def test_beliefs_are_those_of_all_that_may_hold(
    solutions: list[tuple[str, bool]], seed: int
) -> None:
    tree = Tree.of(problem_of(*solutions))
    likelihoods = np.random.default_rng(seed).uniform(0.01, 1, (len(tree.parents), 3))
    likelihoods[0] = 1
    beliefs = believe(tree, likelihoods[None], MENDING, [1.0])
    for belief, expected in zip(beliefs, by_enumeration(tree, likelihoods), strict=True):
        assert belief.first_error[0] == pytest.approx(expected)
        # A step can be wrong only from the first error on.
        assert np.triu(belief.wrong[0], 1) == pytest.approx(np.zeros_like(belief.wrong[0]))
        assert np.all(belief.wrong[0] <= belief.first_error[0] + 1e-12)
        assert np.all(np.diff(belief.right) <= 1e-12)


def test_a_rollout_tells_of_all_steps() -> None:
    wrong = problem_of(("abc", False))
    [[first, second]] = soft_of(wrong)
    assert 0 < second < first < 1
    [[proven, succeeded]] = soft_of(wrong, ab="1")
    assert proven > succeeded > 0.9
    [[first, second]] = soft_of(wrong, a="000")
    assert first < 0.1
    assert second < first


def test_a_right_answer_is_right_until_rollouts_say_otherwise() -> None:
    right = problem_of(("abc", True))
    assert min(*soft_of(right)[0]) > 0.8
    assert max(*soft_of(right, a="0" * 8, ab="1" * 8)[0]) < 0.5
    # In a wrong solution the later successes are less often an error that was mended.
    assert soft_of(problem_of(("abc", False)), a="00", ab="1111")[0][0] > 0.5


def test_a_prefix_is_as_right_in_each_of_its_solutions() -> None:
    problem = problem_of(("abc", False), ("abd", True), ("ae", False), ("fb", False))
    found = soft_of(problem, ab="0", a="10", f="0")
    assert found[0] == pytest.approx(found[1])
    assert found[0][:1] == pytest.approx(found[2])
    # What goes right through a prefix speaks for it, and all that goes wrong there against.
    [alone], [beside, _], [below, _] = (
        soft_of(problem_of(*solutions), a="0")
        for solutions in (
            [("ab", False)],
            [("ab", False), ("ac", True)],
            [("ab", False), ("ac", False)],
        )
    )
    assert beside[0] > alone[0] > below[0]


def test_the_cut_of_a_solution_may_differ_from_that_of_others() -> None:
    steps = (("a", "b", "c"), ("ab", "c"))
    problem = SolvedProblem(
        "p",
        "How many?",
        tuple(
            SolutionSteps(f"s{len(texts)}", False, tuple(map(str, range(len(texts)))), texts)
            for texts in steps
        ),
    )
    fine, coarse = labels_of(problem, a="1", ab="00")
    assert [label.num_rollouts for label in (*fine, *coarse)] == [1, 2, 2]


def test_many_solutions_and_rollouts_do_not_underflow() -> None:
    letters = "".join(map(chr, range(200, 500)))
    problem = problem_of(*((f"a{letter}{'b' * 40}", letter < "ʀ") for letter in letters))
    failed = {"a": "1", **{f"a{letter}{'b' * 20}": "0" * 8 for letter in letters}}
    for labels in labels_of(problem, **failed):
        assert labels[0].soft == pytest.approx(1, abs=1e-3)
        assert all(0 <= (label.soft or 0.0) <= 1 for label in labels)


def test_a_rollout_that_could_not_be_drawn_says_nothing() -> None:
    problem = problem_of(("axy", True), *((f"a{letter}z", False) for letter in "bcd"))
    errors = {f"a{letter}": "e" for letter in "bcd"}
    assert soft_of(problem, a="10", **errors) == soft_of(problem, a="10")
    asked = next(ADAPTIVE.ask(problem, shown_of(a="1" + "0" * 7, **errors)), {})
    assert not asked.keys() & errors.keys()


def test_what_is_asked_for_next() -> None:
    def asked(problem: SolvedProblem, **found: str) -> dict[str, int]:
        return dict(next(ADAPTIVE.ask(problem, shown_of(**found)), {}))

    # The last prefix is cheapest to roll out and a success there decides all.
    assert asked(problem_of(("abc", False))) == {"ab": 1}
    # A rollout of a shared prefix informs about several solutions.
    assert asked(problem_of(*(("a" + last, False) for last in "bcd"))) == {"a": 1}
    # Nothing is requested once all steps are decided, or every prefix was rolled out N times.
    assert asked(problem_of(("abc", False)), a="1", ab="11") == {}
    assert asked(problem_of(("ab", False)), a="1" + "0" * 7) == {}
    assert asked(problem_of(("a", False))) == {}


def test_entropy_is_in_bits_and_scales_with_the_weights() -> None:
    assert entropy(np.array([0.25, 0.25, 0.25, 0.25, 0.0])) == pytest.approx(2)
    assert entropy(np.array([[1.0, 1.0], [3.0, 0.0]])).tolist() == pytest.approx([2, 0])
    assert entropy(np.array([0.5, 0.5])) > MIN_INFORMATION
