"""The rates of ``adaptive`` that are learned from a pilot."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest

from shepherd.annotators.adaptive import Adaptive
from shepherd.annotators.first_error_belief import WRONG, Tree, believe
from shepherd.annotators.learned_rates import STEP_RATES, _expected, _Forest, learn_rates
from shepherd.annotators.problem import (
    Label,
    Pool,
    Replay,
    Rollout,
    SolutionSteps,
    SolvedProblem,
)
from shepherd.annotators.rates import Rates, likelihood, likelihoods

HAND_SET = Rates((0.9,), 0.02, 0.02)
N = 8


def simulated(
    step_rates: Sequence[float], false_rate: float, *, seed: int, num_solutions: int = 6
) -> tuple[list[SolvedProblem], Pool, dict[str, bool]]:
    """Return problems, N rollouts of each prefix, and whether each step is right.

    A problem has four steps a solution. Its completer completes each step with the problem's rate.
    """
    random = np.random.default_rng(seed)
    problems, pool, truth = [], {}, {}
    for number, rate in enumerate(step_rates):
        solutions = []
        for index in range(num_solutions):
            texts = tuple(f"{number}.{index}.{step}." for step in range(4))
            # No solution has an error at its last step, so that answers follow from the others.
            first_error = int(random.integers(0, 3)) if random.random() < 0.5 else 4
            ids = tuple(f"{number}:{index}:{step}" for step in range(4))
            truth.update({ids[step]: step < first_error for step in range(4)})
            solutions.append(SolutionSteps(f"{number}:{index}", first_error == 4, ids, texts))
        problem = SolvedProblem(f"p{number}", "How many?", tuple(solutions))
        for solution in solutions:
            for step, prefix in enumerate(accumulate(solution.texts[:-1])):
                share = rate ** (3 - step) if truth[solution.step_ids[step]] else false_rate
                drawn = random.random(N) < share
                pool[problem.prefix_id(prefix)] = [Rollout(bool(one), "") for one in drawn]
        problems.append(problem)
    return problems, pool, truth


def labelled(rates: Rates, problems: Sequence[SolvedProblem], pool: Pool) -> dict[str, Label]:
    """Return the labels of ``adaptive`` by step, those of last steps too."""
    labels: dict[str, Label] = {}
    for problem in problems:
        replay = Replay(Adaptive(N, 0.97, rates), problem)
        assert replay.advance(pool) == {}
        labels.update(replay.labels())
    return labels


def test_expectations_are_those_of_the_beliefs_about_each_problem() -> None:
    problems, pool, _ = simulated((0.9, 0.5), 0.1, seed=1)
    rates = Rates((0.9, 0.5), 0.1, 0.05, weights=(0.7, 0.3), of_each_step=True)
    forest = _Forest.of(problems, pool)
    expected = _expected(forest, rates)
    first = 0
    for number, problem in enumerate(problems):
        tree = Tree.of(problem)
        nodes = slice(first, first + len(tree.parents))
        seen = likelihoods(forest.counts[nodes], tree.steps_left, rates)
        beliefs = believe(tree, seen, rates.mending_rate, rates.weights)
        for steps, belief in zip(tree.steps_to_label, beliefs, strict=True):
            is_wrong = expected.states[:, first + np.array(steps), WRONG]
            assert is_wrong == pytest.approx(belief.wrong.sum(axis=2))
            assert expected.difficulties[:, number] == pytest.approx(belief.first_error.sum(axis=1))
        first += len(tree.parents)
    assert expected.states.sum(axis=(0, 2)) == pytest.approx(np.ones(first))


def test_rates_of_a_weak_completer_are_learned_and_label_better() -> None:
    step_rates = tuple(np.repeat((0.4, 0.6, 0.85), 8).tolist())
    problems, pool, truth = simulated(step_rates, 0.03, seed=2)
    learned = learn_rates(problems, pool, HAND_SET)
    assert np.dot(learned.weights, STEP_RATES) == pytest.approx(np.mean(step_rates), abs=0.06)
    assert learned.false_success_rate == pytest.approx(0.03, abs=0.02)

    others, pool, truth = simulated(step_rates, 0.03, seed=3)
    inner = {step for problem in others for s in problem.solutions for step in s.step_ids[:-1]}

    def share_right(rates: Rates) -> float:
        labels = labelled(rates, others, pool)
        return float(np.mean([labels[step].hard == truth[step] for step in inner]))

    by_hand, by_pilot = share_right(HAND_SET), share_right(learned)
    assert by_pilot > by_hand + 0.05
    assert by_pilot > 0.85


def test_rates_of_a_strong_completer_are_learned() -> None:
    problems, pool, _ = simulated((0.99,) * 12, 0.01, seed=4)
    learned = learn_rates(problems, pool, HAND_SET)
    assert np.dot(learned.weights, STEP_RATES) > 0.95
    assert learned.false_success_rate == pytest.approx(0.01, abs=0.015)
    assert learned.right_concentration > HAND_SET.right_concentration


def test_rates_stay_as_they_are_without_a_pilot() -> None:
    assert learn_rates([], {}, HAND_SET) == HAND_SET
    problems, _, _ = simulated((0.9,), 0.1, seed=5)
    unseen = learn_rates(problems, {}, HAND_SET)
    assert unseen.false_success_rate == pytest.approx(HAND_SET.false_success_rate, abs=0.002)
    assert unseen.right_concentration == pytest.approx(HAND_SET.right_concentration, rel=0.2)


def test_errors_of_the_engine_say_nothing() -> None:
    problems, pool, _ = simulated((0.9, 0.5), 0.1, seed=6)
    with_errors = {
        prefix: [*rollouts, Rollout(False, "", is_error=True)] for prefix, rollouts in pool.items()
    }
    assert learn_rates(problems, with_errors, HAND_SET) == learn_rates(problems, pool, HAND_SET)


def test_likelihoods_of_all_outcomes_sum_to_one() -> None:
    [counts] = [np.array([[2, 0], [1, 1], [1, 1], [0, 2]])]
    for mean, concentration in ((0.9, 3.0), (0.02, 1.0), (0.5, 30.0)):
        assert likelihood(mean, concentration, *counts.T).sum() == pytest.approx(1)
