"""Rewards, advantages and losses against cases computed by hand."""

import math

import pytest
import torch

from shepherd.settings import StepReward
from training.advantages import (
    gae,
    group_advantages,
    kl_loss,
    policy_loss,
    step_rewards,
    token_rewards,
    value_loss,
    whiten,
)
from training.schedules import wait_then_cosine

SCORES = [0.9, 0.4, 0.6]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("score", [0.9, 0.4, 0.6]),
        ("mean", [0.3, 0.4 / 3, 0.2]),
        ("difference", [0.9, -0.5, 0.2]),
        ("min", [0.0, 0.4, 0.0]),
    ],
)
def test_what_each_step_earns(how: StepReward, expected: list[float]) -> None:
    assert step_rewards(SCORES, how) == pytest.approx(expected)
    assert step_rewards([0.7], how) == [0.7]


def test_only_the_sum_of_scores_pays_for_repeating_a_good_step() -> None:
    returns = {
        how: sum(step_rewards([0.9, 0.9, 0.9, 0.8], how)) - sum(step_rewards([0.9, 0.8], how))
        for how in ("score", "difference", "min")
    }
    assert returns == pytest.approx({"score": 1.8, "difference": 0.0, "min": 0.0})


def test_rewards_stand_at_their_tokens_and_every_token_pays_for_its_log_ratio() -> None:
    mask = torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]])
    log_ratio = torch.tensor([[0.5, -0.5, 1.0, 0.0], [1.0, 2.0, 9.0, 9.0]])
    placed = token_rewards([[0.9, 0.4], [0.7]], [[1, 3], [1]], log_ratio, mask, 0.1)
    expected = [[-0.05, 0.9 + 0.05, -0.1, 0.4], [-0.1, 0.7 - 0.2, 0.0, 0.0]]
    assert placed.tolist() == [pytest.approx(row) for row in expected]


def test_a_reward_past_its_response_is_refused() -> None:
    mask = torch.tensor([[1.0, 0.0]])
    with pytest.raises(AssertionError, match="outside its response"):
        token_rewards([[1.0]], [[1]], torch.zeros(1, 2), mask, 0.0)


def test_two_steps_that_end_with_one_token_both_earn_there() -> None:
    placed = token_rewards([[0.5, 0.25]], [[0, 0]], torch.zeros(1, 1), torch.ones(1, 1), 0.0)
    assert placed.tolist() == [[0.75]]


def test_advantages_by_hand() -> None:
    # discount 0.9, decay 0.5, so that a later delta counts 0.45 of the next one's.
    rewards = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    values = torch.tensor([[0.5, 1.0, 1.5], [1.0, 7.0, 7.0]])
    mask = torch.tensor([[1.0, 1, 1], [1, 0, 0]])
    found = gae(rewards, values, mask, discount=0.9, decay=0.5)
    last = 2.0 - 1.5
    middle = (1.0 + 0.9 * 1.5 - 1.0) + 0.45 * last
    first = (0.0 + 0.9 * 1.0 - 0.5) + 0.45 * middle
    assert found.tolist() == [pytest.approx([first, middle, last]), pytest.approx([2.0, 0.0, 0.0])]


def test_with_decay_one_an_advantage_is_the_return_less_the_value() -> None:
    torch.manual_seed(0)
    rewards, values, mask = torch.randn(2, 5), torch.randn(2, 5), torch.ones(2, 5)
    found = gae(rewards, values, mask, discount=1.0, decay=1.0)
    to_come = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(found, to_come - values)


def test_a_group_s_steps_are_compared_with_each_other_and_count_for_the_tokens_before() -> None:
    # Mean 0.75, deviation sqrt(0.3125): the rewards become 0.447, -1.342 and -0.447, 1.342.
    found = group_advantages([[1.0, 0.0], [0.5, 1.5]], [[1, 2], [0, 3]], [3, 4])
    assert [row.tolist() for row in found] == [
        pytest.approx([-0.894427, -0.894427, -1.341641], abs=1e-6),
        pytest.approx([0.894427, 1.341641, 1.341641, 1.341641], abs=1e-6),
    ]


def test_one_reward_at_the_end_of_each_response_is_outcome_supervision() -> None:
    # Mean 0.25, deviation sqrt(0.1875).
    found = group_advantages([[1.0], [0.0], [0.0], [0.0]], [[2], [0], [1], [0]], [3, 1, 2, 1])
    assert [row.tolist() for row in found] == [
        pytest.approx([1.732051] * 3, abs=1e-6),
        *(pytest.approx([-0.577350] * length, abs=1e-6) for length in (1, 2, 1)),
    ]


def test_a_group_of_equal_rewards_teaches_nothing() -> None:
    rewards = [[0.1, 0.1, 0.1], [0.1]]
    found = group_advantages(rewards, [[0, 1, 2], [1]], [3, 2])
    assert [row.tolist() for row in found] == [pytest.approx([0.0] * n, abs=1e-6) for n in (3, 2)]


def test_two_steps_that_end_with_one_token_both_count_there() -> None:
    [one, _] = group_advantages([[1.0, 1.0], [0.0, 0.0]], [[0, 0], [0, 1]], [2, 2])
    assert one.tolist() == pytest.approx([2.0, 0.0], abs=1e-6)


def test_the_distance_from_the_reference_is_estimated_without_a_sign() -> None:
    log_probs = torch.tensor([[math.log(0.5), math.log(0.25), 3.0]], requires_grad=True)
    reference = torch.tensor([[math.log(0.25), math.log(0.5), 9.0]])
    loss = kl_loss(log_probs, reference, torch.tensor([[1.0, 1, 0]]))
    # Ratios 0.5 and 2: 0.5 + log 2 - 1 and 2 - log 2 - 1.
    assert loss.item() == pytest.approx(0.5)
    [gradient] = torch.autograd.grad(loss, log_probs)
    assert gradient.tolist() == [pytest.approx([0.5, -1.0, 0.0])]


def test_whitened_advantages_leave_padding_out() -> None:
    values = torch.tensor([[1.0, 2.0, 100.0], [3.0, 100.0, 100.0]])
    mask = torch.tensor([[1.0, 1, 0], [1, 0, 0]])
    whitened = whiten(values, mask)
    scale = math.sqrt(2 / 3)
    expected = [[-1 / scale, 0.0, 0.0], [1 / scale, 0.0, 0.0]]
    assert whitened.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]


def test_the_surrogate_is_clipped_where_it_would_go_too_far() -> None:
    # Ratios 1.5, 1.5, 0.5, 0.5 with gains of both signs; padding counts nothing.
    drawn = torch.zeros(1, 5)
    log_probs = torch.tensor([[math.log(1.5)] * 2 + [math.log(0.5)] * 2 + [5.0]])
    log_probs.requires_grad_(True)
    gains = torch.tensor([[2.0, -2.0, 2.0, -2.0, 9.0]])
    mask = torch.tensor([[1.0, 1, 1, 1, 0]])
    loss = policy_loss(log_probs, drawn, gains, mask, clip_range=0.2)
    assert loss.item() == pytest.approx(-(1.2 * 2 - 1.5 * 2 + 0.5 * 2 - 0.8 * 2))
    [gradient] = torch.autograd.grad(loss, log_probs)
    # Nothing pulls where the ratio is past the range in the direction of the gain.
    assert gradient.tolist() == [pytest.approx([0.0, 3.0, -1.0, 0.0, 0.0])]


def test_the_value_loss_is_half_the_squared_error() -> None:
    values, returns = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 4.0, 9.0]])
    mask = torch.tensor([[1.0, 1, 0]])
    assert value_loss(values, returns, mask).item() == pytest.approx(0.5 * (1 + 4))


def test_the_rate_waits_and_falls_along_a_cosine_to_its_floor() -> None:
    rates = [
        wait_then_cosine(iteration, 22, peak=4e-7, floor=1e-8, wait_share=0.1)
        for iteration in (0, 1, 2, 12, 22)
    ]
    assert rates == pytest.approx([0.0, 0.0, 4e-7, 2.05e-7, 1e-8])
