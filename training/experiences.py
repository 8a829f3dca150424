"""Turn the episodes of an iteration of PPO or GRPO into experiences: rewards and advantages.

Each process scores its share of the episodes and gets the results of all, so that all processes
hold the same experiences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate.utils import gather_object
from torch.nn.utils.rnn import pad_sequence

from shepherd.settings import PpoSettings, ReinforcementSettings
from training.advantages import gae, group_advantages, step_rewards, token_rewards, whiten
from training.episodes import Episode, EpisodeBatch
from training.passes import padded_passes
from training.policy_metrics import IterationMetrics
from training.ppo_networks import PpoNetworks, autocast, log_probs_of
from training.scoring.copies import parts_of


@dataclass(frozen=True)
class TokenEstimates:
    """What the networks compute for one response; tensors are (response tokens,)."""

    log_probs: torch.Tensor
    """Under the policy that drew the tokens."""
    reference_log_probs: torch.Tensor
    entropies: torch.Tensor
    values: torch.Tensor | None
    """Null without a value network (GRPO)."""


@dataclass(frozen=True)
class Experience:
    """An episode and what it is learned from; tensors are (response tokens,)."""

    episode: Episode
    log_probs: torch.Tensor
    """Under the policy that drew the tokens."""
    reference_log_probs: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor | None
    """What the value network learns; null without one (GRPO)."""


@torch.no_grad()
def assess(
    networks: PpoNetworks, episodes: Sequence[Episode], settings: ReinforcementSettings
) -> tuple[list[Experience], IterationMetrics]:
    """Return the episodes with their advantages, in their order, and means over all of them.

    The reward of a response that was cut is 0, because it has no answer. An unscored step earns
    nothing.
    """
    scores = [
        [0.0 if episode.is_cut or score is None else score for score in step_scores]
        for episode, step_scores in zip(episodes, score_episodes(networks, episodes), strict=True)
    ]
    rewards = [step_rewards(step_scores, settings.step_reward) for step_scores in scores]
    estimates = estimate_tokens(networks, episodes, settings)
    log_ratio = torch.cat([e.log_probs - e.reference_log_probs for e in estimates])
    metrics: IterationMetrics = {
        "reward": sum(map(sum, rewards)) / len(rewards),
        "lowest_score": sum(map(min, scores)) / len(scores),
        "kl": float(log_ratio.mean()),
        "entropy": float(torch.cat([estimate.entropies for estimate in estimates]).mean()),
    }
    if not isinstance(settings, PpoSettings):
        return learn_from_groups(episodes, rewards, estimates), metrics
    experiences, metrics["explained_variance"] = learn_from_values(
        episodes, rewards, estimates, settings
    )
    return experiences, metrics


def score_episodes(networks: PpoNetworks, episodes: Sequence[Episode]) -> list[list[float | None]]:
    """Return the score of each step of each episode; responses to one question go together."""
    questions, steps = [e.question for e in episodes], [e.steps for e in episodes]
    accelerator = networks.accelerator
    parts = parts_of(questions, steps, accelerator.num_processes)
    mine = dict(enumerate(parts)).get(accelerator.process_index, [])
    scored = networks.scorer.score([questions[i] for i in mine], [steps[i] for i in mine])
    scores: dict[int, list[float | None]] = dict(
        gather_object(list(zip(mine, scored, strict=True)))
    )
    return [scores[index] for index in range(len(episodes))]


def estimate_tokens(
    networks: PpoNetworks, episodes: Sequence[Episode], settings: ReinforcementSettings
) -> list[TokenEstimates]:
    """Return what the networks compute for each episode."""
    estimates: list[tuple[int, TokenEstimates]] = []
    accelerator = networks.accelerator
    device = accelerator.device
    lengths = [episode.num_tokens for episode in episodes]
    shares = padded_passes(lengths, accelerator.num_processes, settings.batch_tokens)
    for filled in shares[accelerator.process_index]:
        indices = [index % len(episodes) for index in filled]
        batch = EpisodeBatch.of([episodes[index] for index in indices], device)
        log_probs, entropies = log_probs_of(networks.policy, batch, settings.temperature)
        reference_log_probs, _ = log_probs_of(networks.reference, batch, settings.temperature)
        values = None
        if networks.value is not None:
            with autocast(device):
                values = networks.value(batch)
        for row, index in enumerate(indices):
            length = len(episodes[index].response)
            estimate = TokenEstimates(
                log_probs[row, :length].cpu(),
                reference_log_probs[row, :length].cpu(),
                entropies[row, :length].cpu(),
                None if values is None else values[row, :length].cpu(),
            )
            estimates.append((index, estimate))
    gathered = dict(gather_object(estimates))
    return [gathered[index] for index in range(len(episodes))]


def rewarded_ends(episode: Episode, rewards: Sequence[float]) -> list[int]:
    """Return the token of each reward: the end of each step.

    The one reward of an outcome reward model is at the end of the last step.
    """
    return episode.ends[-len(rewards) :]


def learn_from_values(
    episodes: Sequence[Episode],
    rewards: Sequence[Sequence[float]],
    estimates: Sequence[TokenEstimates],
    settings: PpoSettings,
) -> tuple[list[Experience], float]:
    """Return experiences with GAE's advantages, whitened over all tokens of the iteration.

    Returns:
        The experiences, and the share of the returns' variance that the values explain.
    """
    mask, log_ratio, values = (
        pad_sequence(tensors, batch_first=True)
        for tensors in (
            [torch.ones(len(episode.response)) for episode in episodes],
            [estimate.log_probs - estimate.reference_log_probs for estimate in estimates],
            [_values_of(estimate) for estimate in estimates],
        )
    )
    ends = [rewarded_ends(episode, row) for episode, row in zip(episodes, rewards, strict=True)]
    of_tokens = token_rewards(rewards, ends, log_ratio, mask, settings.kl_coefficient)
    advantages = gae(of_tokens, values, mask, discount=settings.discount, decay=settings.gae_decay)
    returns, whitened, is_token = advantages + values, whiten(advantages, mask), mask.bool()
    explained = 1 - advantages[is_token].var() / (returns[is_token].var() + 1e-8)
    experiences = [
        Experience(
            episode,
            estimate.log_probs,
            estimate.reference_log_probs,
            whitened[row, : len(episode.response)],
            returns[row, : len(episode.response)],
        )
        for row, (episode, estimate) in enumerate(zip(episodes, estimates, strict=True))
    ]
    return experiences, float(explained)


def _values_of(estimate: TokenEstimates) -> torch.Tensor:
    assert estimate.values is not None, "PPO has a value network"
    return estimate.values


def learn_from_groups(
    episodes: Sequence[Episode],
    rewards: Sequence[Sequence[float]],
    estimates: Sequence[TokenEstimates],
) -> list[Experience]:
    """Return experiences whose advantages compare the responses of one question (GRPO)."""
    groups: dict[str, list[int]] = {}
    for index, episode in enumerate(episodes):
        groups.setdefault(episode.question, []).append(index)
    advantages: dict[int, torch.Tensor] = {}
    for group in groups.values():
        of_group = group_advantages(
            [rewards[index] for index in group],
            [rewarded_ends(episodes[index], rewards[index]) for index in group],
            [len(episodes[index].response) for index in group],
        )
        advantages |= dict(zip(group, of_group, strict=True))
    return [
        Experience(
            episode,
            estimate.log_probs,
            estimate.reference_log_probs,
            advantages[index],
            returns=None,
        )
        for index, (episode, estimate) in enumerate(zip(episodes, estimates, strict=True))
    ]
