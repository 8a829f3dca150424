"""Turn the episodes of a PPO iteration into experiences: rewards, advantages and returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from shepherd.settings import PpoSettings
from training.advantages import gae, step_rewards, token_rewards, whiten
from training.episodes import Episode, episode_batches
from training.ppo_networks import PpoNetworks, autocast, log_probs_of
from training.ppo_state import IterationMetrics


@dataclass(frozen=True)
class Experience:
    """An episode and what it is learned from; tensors are (response tokens,)."""

    episode: Episode
    log_probs: torch.Tensor
    """Under the policy that drew the tokens."""
    advantages: torch.Tensor
    """Whitened over all tokens of the iteration."""
    returns: torch.Tensor


@dataclass(frozen=True)
class TokenEstimates:
    """What the networks say of one response when it was drawn; tensors are (response tokens,)."""

    log_probs: torch.Tensor
    advantages: torch.Tensor
    values: torch.Tensor
    log_ratio: torch.Tensor
    """log policy - log reference."""
    entropies: torch.Tensor


@torch.no_grad()
def assess(
    networks: PpoNetworks, episodes: Sequence[Episode], settings: PpoSettings
) -> tuple[list[Experience], IterationMetrics]:
    """Return the episodes with their advantages, in their order, and means over all of them.

    The reward of a response that was cut is 0, because it has no answer. An unscored step earns
    nothing.
    """
    scored = networks.scorer.score([e.question for e in episodes], [e.steps for e in episodes])
    scores = [
        [0.0 if episode.is_cut or score is None else score for score in step_scores]
        for episode, step_scores in zip(episodes, scored, strict=True)
    ]
    rewards = [step_rewards(step_scores, settings.step_reward) for step_scores in scores]
    estimates = estimate_tokens(networks, episodes, rewards, settings)
    advantages = torch.cat([estimate.advantages for estimate in estimates])
    returns = advantages + torch.cat([estimate.values for estimate in estimates])
    lengths = [len(episode.response) for episode in episodes]
    experiences = [
        Experience(episode, estimate.log_probs, *advantages_and_returns)
        for episode, estimate, *advantages_and_returns in zip(
            episodes,
            estimates,
            torch.split(whiten(advantages, torch.ones_like(advantages)), lengths),
            torch.split(returns, lengths),
            strict=True,
        )
    ]
    return experiences, {
        "reward": sum(map(sum, rewards)) / len(rewards),
        "lowest_score": sum(map(min, scores)) / len(scores),
        "kl": float(torch.cat([estimate.log_ratio for estimate in estimates]).mean()),
        "entropy": float(torch.cat([estimate.entropies for estimate in estimates]).mean()),
        "explained_variance": float(1 - advantages.var() / (returns.var() + 1e-8)),
    }


def estimate_tokens(
    networks: PpoNetworks,
    episodes: Sequence[Episode],
    rewards: Sequence[Sequence[float]],
    settings: PpoSettings,
) -> list[TokenEstimates]:
    """Return the estimates of each episode, from the rewards of its steps.

    An episode with one reward, that of an outcome reward model, has it at its last step's end.
    """
    estimates: dict[int, TokenEstimates] = {}
    device = networks.policy.device
    for indices, batch in episode_batches(episodes, settings.batch_tokens, device):
        log_probs, entropies = log_probs_of(networks.policy, batch, settings.temperature)
        reference_log_probs, _ = log_probs_of(networks.reference, batch, settings.temperature)
        log_ratio = log_probs - reference_log_probs
        with autocast(device):
            values = networks.value(batch)
        of_tokens = token_rewards(
            [rewards[index] for index in indices],
            [episodes[index].ends[-len(rewards[index]) :] for index in indices],
            log_ratio,
            batch.mask,
            settings.kl_coefficient,
        )
        advantages = gae(
            of_tokens, values, batch.mask, discount=settings.discount, decay=settings.gae_decay
        )
        for row, index in enumerate(indices):
            length = len(episodes[index].response)
            tensors = (log_probs, advantages, values, log_ratio, entropies)
            estimates[index] = TokenEstimates(*(tensor[row, :length] for tensor in tensors))
    return [estimates[index] for index in range(len(episodes))]
