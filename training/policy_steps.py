"""Take the optimiser steps of an iteration of PPO or GRPO."""

import random
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from shepherd.identity import derive_seed
from shepherd.settings import PpoSettings, ReinforcementSettings
from training.advantages import kl_loss, policy_loss, value_loss
from training.episodes import EpisodeBatch, episode_batches
from training.experiences import Experience
from training.ppo_networks import PpoNetworks, autocast, log_probs_of
from training.ppo_state import IterationMetrics
from training.schedules import wait_then_cosine


def learn(
    networks: PpoNetworks,
    experiences: Sequence[Experience],
    settings: ReinforcementSettings,
    iteration: int,
    seed: int,
) -> IterationMetrics:
    """Take the optimiser steps of one iteration; return means over tokens and the learning rate.

    The means are ``policy_loss`` and ``clipped_share``, and ``value_loss`` for PPO or ``kl_loss``
    for GRPO.
    """
    groups = networks.optimizer.param_groups
    for group, (peak, wait_share) in zip(groups, rates_of(settings), strict=True):
        group["lr"] = wait_then_cosine(
            iteration,
            settings.iterations,
            peak=peak,
            floor=settings.min_learning_rate,
            wait_share=wait_share,
        )
    rng = random.Random(derive_seed(seed, "ppo", "order", iteration))
    sums = []
    for _ in range(settings.epochs):
        order = rng.sample(experiences, len(experiences))
        for first in range(0, len(order), settings.batch_size):
            sums.append(_step(networks, order[first : first + settings.batch_size], settings))
    num_tokens = settings.epochs * sum(len(experience.advantages) for experience in experiences)
    totals = {name: sum(batch_sums[name] for batch_sums in sums) for name in sums[0]}
    return {name: total / num_tokens for name, total in totals.items()} | {
        "learning_rate": groups[0]["lr"]
    }


def rates_of(settings: ReinforcementSettings) -> list[tuple[float, float]]:
    """Return the highest learning rate of each trained network, and the share of its waiting.

    With an untrained value network, advantages reflect positions rather than the chosen tokens:
    the policy does not learn for the first ``warmup_share`` of the iterations. GRPO has none.
    """
    if isinstance(settings, PpoSettings):
        policy = settings.learning_rate, settings.warmup_share
        return [policy, (settings.value_learning_rate, 0.0)]
    return [(settings.learning_rate, 0.0)]


def _step(
    networks: PpoNetworks, experiences: Sequence[Experience], settings: ReinforcementSettings
) -> IterationMetrics:
    """Take one optimiser step; return sums over the tokens of the experiences."""
    num_tokens = sum(len(experience.advantages) for experience in experiences)
    networks.optimizer.zero_grad()
    sums: IterationMetrics = {}
    episodes = [experience.episode for experience in experiences]
    for indices, batch in episode_batches(episodes, settings.batch_tokens, networks.policy.device):
        loss, of_batch = _loss(networks, [experiences[index] for index in indices], batch, settings)
        torch.autograd.backward(loss / num_tokens)
        for name, total in of_batch.items():
            sums[name] = sums.get(name, 0.0) + total
    for module in networks.trained.values():
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    networks.optimizer.step()
    return sums


def _loss(
    networks: PpoNetworks,
    experiences: Sequence[Experience],
    batch: EpisodeBatch,
    settings: ReinforcementSettings,
) -> tuple[torch.Tensor, IterationMetrics]:
    """Return the loss of a batch and its parts, summed over the tokens of the batch."""
    device = networks.policy.device
    drawn_log_probs = _padded([e.log_probs for e in experiences], device)
    advantages = _padded([e.advantages for e in experiences], device)
    log_probs, _ = log_probs_of(networks.policy, batch, settings.temperature)
    policy_term = policy_loss(
        log_probs, drawn_log_probs, advantages, batch.mask, settings.clip_range
    )
    if networks.value is None:
        reference_log_probs = _padded([e.reference_log_probs for e in experiences], device)
        other_name, other_term = "kl_loss", kl_loss(log_probs, reference_log_probs, batch.mask)
        loss = policy_term + settings.kl_coefficient * other_term
    else:
        returns = _padded([e.returns for e in experiences if e.returns is not None], device)
        with autocast(device):
            values = networks.value(batch)
        other_name, other_term = "value_loss", value_loss(values, returns, batch.mask)
        loss = policy_term + other_term
    is_clipped = ((log_probs - drawn_log_probs).exp() - 1).abs() > settings.clip_range
    return loss, {
        "policy_loss": policy_term.item(),
        other_name: other_term.item(),
        "clipped_share": float((is_clipped * batch.mask).sum()),
    }


def _padded(tensors: list[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Return tensors of (response tokens,) as (episodes, longest response), 0 at padding."""
    return pad_sequence(tensors, batch_first=True).to(device)
