"""Compute rewards, advantages and losses of PPO and GRPO.

Proximal policy optimisation is arXiv 1707.06347, generalised advantage estimation (GAE) arXiv
1506.02438, group relative policy optimisation (GRPO) arXiv 2402.03300. Tensors are (responses,
tokens), padded on the right; ``mask`` is 1 at the tokens of a response and 0 at padding.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from shepherd.settings import StepReward


def step_rewards(scores: Sequence[float], step_reward: StepReward) -> list[float]:
    """Return the reward of each step from the reward model's scores of the steps, in order.

    - ``score``: the score itself, as in arXiv 2312.08935. The return is the sum of the scores, so
      a solution gains by having more steps.
    - ``mean``: the score divided by the number of steps. The return is the mean score.
    - ``difference``: the score less the score of the step before, 0 before the first
      (potential-based shaping, Ng et al. 1999). The return is the last score.
    - ``min``: the lowest score, at its first step, and 0 at the other steps (after arXiv
      2504.15275). The return is the paper's score of a solution, which more steps cannot raise.

    An outcome reward model gives one score, and all four rewards equal that score.
    """
    if step_reward == "mean":
        return [score / len(scores) for score in scores]
    if step_reward == "difference":
        return [score - before for before, score in zip([0.0, *scores], scores, strict=False)]
    if step_reward == "min":
        lowest = min(range(len(scores)), key=lambda index: scores[index], default=0)
        return [score if index == lowest else 0.0 for index, score in enumerate(scores)]
    return list(scores)


def token_rewards(
    rewards: Sequence[Sequence[float]],
    ends: Sequence[Sequence[int]],
    log_ratio: torch.Tensor,
    mask: torch.Tensor,
    kl_coefficient: float,
) -> torch.Tensor:
    """Return the reward of each token: that of a step at its last token, less the KL penalty.

    Args:
        rewards: for each response, the reward of each of its steps.
        ends: for each response, the index of each step's last token.
        log_ratio: log policy - log reference of each token. Its mean over tokens that the policy
            draws is the KL divergence from the reference.
        mask: 1 at the tokens of a response.
        kl_coefficient: penalty for one unit of ``log_ratio``.
    """
    totals = -kl_coefficient * log_ratio * mask
    for row, (rewards_of_row, ends_of_row) in enumerate(zip(rewards, ends, strict=True)):
        for reward, end in zip(rewards_of_row, ends_of_row, strict=True):
            assert mask[row, end], "the end of a step is outside its response"
            totals[row, end] += reward
    return totals


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    *,
    discount: float,
    decay: float,
) -> torch.Tensor:
    """Return the generalised advantage estimate of each token, 0 at padding.

    A_t = sum_k (discount * decay)^k delta_{t+k}, with
    delta_t = r_t + discount * V_{t+1} - V_t (arXiv 1506.02438, equations 16 and 11).
    V_t is the value before token t is drawn, and 0 after the last token.
    """
    estimates = torch.zeros_like(rewards)
    next_estimate = next_value = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + discount * next_value - values[:, t]
        next_estimate = (delta + discount * decay * next_estimate) * mask[:, t]
        next_value = values[:, t] * mask[:, t]
        estimates[:, t] = next_estimate
    return estimates


def group_advantages(
    rewards: Sequence[Sequence[float]],
    ends: Sequence[Sequence[int]],
    lengths: Sequence[int],
) -> list[torch.Tensor]:
    """Return the advantage of each token of the responses to one question, a group.

    Process supervision is section 4.1.3 of arXiv 2402.03300: R are the rewards of all steps of all
    responses of the group. With r~_j = (r_j - mean(R)) / std(R), the advantage of token t is the
    sum of r~_j over the steps j of its response that end at t or later.

    Outcome supervision (section 4.1.2) is the same with one reward, at the last token of each
    response: every token has A_t = (r - mean(R)) / std(R).

    The standard deviation is that of a population. It is 0 if all rewards are equal, and so are
    the advantages.

    Args:
        rewards: for each response, the reward of each of its steps.
        ends: for each response, the index of each step's last token.
        lengths: tokens of each response.

    Returns:
        For each response a float32 tensor of its tokens.
    """
    of_group = torch.tensor([reward for row in rewards for reward in row], dtype=torch.float64)
    mean, deviation = of_group.mean(), of_group.std(correction=0)
    advantages = []
    for rewards_of_row, ends_of_row, length in zip(rewards, ends, lengths, strict=True):
        at_tokens = torch.zeros(length, dtype=torch.float64)
        for reward, end in zip(rewards_of_row, ends_of_row, strict=True):
            at_tokens[end] += (reward - mean) / (deviation + 1e-8)
        advantages.append(at_tokens.flip(0).cumsum(0).flip(0).float())
    return advantages


def whiten(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return values with mean 0 and variance 1 over all tokens, 0 at padding."""
    of_tokens = values[mask.bool()]
    return (values - of_tokens.mean()) / (of_tokens.std(correction=0) + 1e-8) * mask


def policy_loss(
    log_probs: torch.Tensor,
    drawn_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    clip_range: float,
) -> torch.Tensor:
    """Return the clipped surrogate loss (arXiv 1707.06347, equation 7), summed over tokens.

    L = - sum_t min(ratio_t A_t, clip(ratio_t, 1 - clip_range, 1 + clip_range) A_t), where ratio_t
    is the probability of token t divided by its probability when it was drawn
    (``drawn_log_probs``).
    """
    ratio = (log_probs - drawn_log_probs).exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -(torch.minimum(ratio * advantages, clipped * advantages) * mask).sum()


def value_loss(values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return half the squared error of the values, summed over tokens.

    The error is not clipped: clipping it gave no gain in arXiv 2006.05990.
    """
    return 0.5 * (F.mse_loss(values, returns, reduction="none") * mask).sum()


def kl_loss(
    log_probs: torch.Tensor, reference_log_probs: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return an estimate of the KL divergence from the reference, summed over tokens.

    D_t = p_ref / p - log(p_ref / p) - 1 with p the probability of token t (arXiv 2402.03300,
    equation 4). It is not negative, and unbiased for tokens that the policy drew.
    """
    log_ratio = reference_log_probs - log_probs
    return ((log_ratio.exp() - log_ratio - 1) * mask).sum()
