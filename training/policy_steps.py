"""Take the optimiser steps of an iteration of PPO or GRPO.

Every process holds all experiences and computes its share of each step. Losses divide by the
tokens of the whole step, so the number of processes does not change what is minimised.
"""

import random
from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from shepherd.identity import derive_seed
from shepherd.settings import PpoSettings, ReinforcementSettings
from training.advantages import kl_loss, policy_loss, value_loss
from training.episodes import EpisodeBatch
from training.experiences import Experience
from training.optimization import CLIP_NORM
from training.passes import padded_passes
from training.policy_metrics import IterationMetrics
from training.ppo_networks import PpoNetworks, autocast, log_probs_of
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
    for optimizer, (peak, wait_share) in zip(networks.optimizers, rates_of(settings), strict=True):
        [group] = optimizer.param_groups
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
        "learning_rate": networks.optimizers[0].param_groups[0]["lr"]
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
    accelerator = networks.accelerator
    num_tokens = sum(len(experience.advantages) for experience in experiences)
    lengths = [experience.episode.num_tokens for experience in experiences]
    shares = padded_passes(lengths, accelerator.num_processes, settings.batch_tokens)
    passes = shares[accelerator.process_index]
    names = ["policy_loss", "clipped_share", "kl_loss" if networks.value is None else "value_loss"]
    sums = torch.zeros(len(names), device=accelerator.device)
    for number, indices in enumerate(passes, start=1):
        in_pass = [experiences[index % len(experiences)] for index in indices]
        # An example that fills a gap is alone in its process.
        weight = float(indices[0] < len(experiences))
        with networks.exchanging(number == len(passes) or networks.is_sharded):
            loss, parts = _loss(networks, in_pass, settings)
            # The gradients of the processes are averaged, and the loss is their sum.
            accelerator.backward(loss * weight / num_tokens * accelerator.num_processes)
        sums += weight * parts
    for module, optimizer in zip(networks.trained, networks.optimizers, strict=True):
        accelerator.clip_grad_norm_(module.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad()
    totals: list[float] = accelerator.reduce(sums, "sum").tolist()
    return dict(zip(names, totals, strict=True))


def _loss(
    networks: PpoNetworks, experiences: Sequence[Experience], settings: ReinforcementSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a pass, and its parts: sums over the tokens of the pass.

    The parts are the loss of the policy, the number of clipped tokens, and the other loss: the
    distance from the reference, or that of the value network.
    """
    device = networks.accelerator.device
    batch = EpisodeBatch.of([experience.episode for experience in experiences], device)
    drawn_log_probs = _padded([e.log_probs for e in experiences], device)
    advantages = _padded([e.advantages for e in experiences], device)
    log_probs, _ = log_probs_of(networks.policy, batch, settings.temperature)
    policy_term = policy_loss(
        log_probs, drawn_log_probs, advantages, batch.mask, settings.clip_range
    )
    if networks.value is None:
        reference_log_probs = _padded([e.reference_log_probs for e in experiences], device)
        other_term = kl_loss(log_probs, reference_log_probs, batch.mask)
        loss = policy_term + settings.kl_coefficient * other_term
    else:
        returns = _padded([e.returns for e in experiences if e.returns is not None], device)
        with autocast(device):
            values = networks.value(batch)
        other_term = value_loss(values, returns, batch.mask)
        loss = policy_term + other_term
    is_clipped = ((log_probs - drawn_log_probs).exp() - 1).abs() > settings.clip_range
    num_clipped = (is_clipped * batch.mask).sum()
    return loss, torch.stack([policy_term, num_clipped, other_term]).detach()


def _padded(tensors: list[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Return tensors of (response tokens,) as (episodes, longest response), 0 at padding."""
    return pad_sequence(tensors, batch_first=True).to(device)
