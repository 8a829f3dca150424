"""The arithmetic of PPO: where rewards stand, what they say of each token, and the losses.

Proximal policy optimisation (arXiv 1707.06347) with generalised advantage estimation (arXiv
1506.02438). Tensors are (responses, tokens), padded on the right; ``mask`` is 1 at tokens of a
response and 0 at padding.
"""

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from shepherd.settings import StepReward


def step_rewards(scores: Sequence[float], how: StepReward) -> list[float]:
    """Return the reward of each step from the reward model's scores of the steps, in order.

    - ``score``: the score itself, as in the paper. The return is their sum, so that a solution
      gains by having more steps.
    - ``mean``: the score divided by the number of steps. The return is the mean score.
    - ``difference``: what a step adds to the score of the one before (potential-based shaping,
      Ng et al. 1999), from 0 before the first. The return is the last score.
    - ``min``: the lowest score, at its (first) step, and 0 elsewhere (after arXiv 2504.15275).
      The return is the paper's score of a solution, which no further step can raise.

    With one score, that of an outcome reward model, all four are that score.
    """
    if how == "mean":
        return [score / len(scores) for score in scores]
    if how == "difference":
        return [score - before for before, score in zip([0.0, *scores], scores, strict=False)]
    if how == "min":
        lowest = min(range(len(scores)), key=lambda index: scores[index], default=0)
        return [score if index == lowest else 0.0 for index, score in enumerate(scores)]
    return list(scores)


def place_rewards(
    rewards: Sequence[Sequence[float]],
    places: Sequence[Sequence[int]],
    log_ratio: torch.Tensor,
    mask: torch.Tensor,
    kl_coefficient: float,
) -> torch.Tensor:
    """Return the reward of each token: the steps' at their places, less the KL penalty of each.

    ``rewards`` and ``places`` are, for each response, what each step earns and the token that
    ends it; ``log_ratio`` is log policy - log reference of each token, whose mean under the
    policy is the KL divergence.
    """
    placed = -kl_coefficient * log_ratio * mask
    for row, (of_steps, ends) in enumerate(zip(rewards, places, strict=True)):
        for reward, end in zip(of_steps, ends, strict=True):
            assert mask[row, end], "a reward stands outside its response"
            placed[row, end] += reward
    return placed


def advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    *,
    discount: float,
    decay: float,
) -> torch.Tensor:
    """Return A_t = sum_k (discount * decay)^k delta_{t+k} of each token, 0 at padding.

    delta_t = r_t + discount * V_{t+1} - V_t (arXiv 1506.02438, equations 11 and 16); nothing
    comes after the last token. ``values`` are those before the token is drawn.
    """
    found = torch.zeros_like(rewards)
    later = next_value = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + discount * next_value - values[:, t]
        later = (delta + discount * decay * later) * mask[:, t]
        next_value = values[:, t] * mask[:, t]
        found[:, t] = later
    return found


def whiten(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return values with mean 0 and variance 1 over all tokens, 0 at padding."""
    kept = values[mask.bool()]
    return (values - kept.mean()) / (kept.std(correction=0) + 1e-8) * mask


def policy_loss(
    log_probs: torch.Tensor,
    drawn_log_probs: torch.Tensor,
    gains: torch.Tensor,
    mask: torch.Tensor,
    clip_range: float,
) -> torch.Tensor:
    """Return the clipped surrogate loss (arXiv 1707.06347, equation 7), summed over tokens.

    ``drawn_log_probs`` are those of the policy that drew the tokens, ``gains`` the advantages.
    """
    ratio = (log_probs - drawn_log_probs).exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -(torch.minimum(ratio * gains, clipped * gains) * mask).sum()


def value_loss(values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return half the squared error, summed over tokens; unclipped, which does no worse (arXiv
    2006.05990)."""
    return 0.5 * (F.mse_loss(values, returns, reduction="none") * mask).sum()


def learning_rate_at(
    iteration: int, num_iterations: int, *, peak: float, floor: float, warmup_share: float
) -> float:
    """Return the rate of an iteration: 0 while warming up, then a cosine from peak to floor."""
    warmup = round(warmup_share * num_iterations)
    if iteration < warmup:
        return 0.0
    progress = (iteration - warmup) / (num_iterations - warmup)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * progress))
