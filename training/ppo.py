"""Proximal policy optimisation of a generator against an outcome or a process reward model.

    python -m training ppo --base models/generator --data problems.parquet --out models/step_ppo \
        --reward-model process_reward_model --judge models/process_reward_model

An iteration draws responses through an engine, scores them, and takes an optimiser step for each
batch of them. An outcome reward model rewards the last token of a response, a process reward
model the last token of each step (arXiv 2312.08935, section 3.4). Every token pays for leaving
the reference, the model that training started from. One process, one device.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from shepherd.identity import SEEDING, content_id, derive_seed
from shepherd.prompts import build_prompt, open_template
from shepherd.settings import PpoSettings
from training import loop
from training.advantages import (
    advantages,
    learning_rate_at,
    place_rewards,
    policy_loss,
    step_rewards,
    value_loss,
    whiten,
)
from training.checkpoints import identity_of
from training.draws import Grader, Sampler, describe
from training.episodes import Episode, Question, Rows, autocast, groups_of, read_response
from training.ppo_state import Row, load_state, save_state, write_metrics
from training.scoring import Scorer


class ValueModel(nn.Module):
    """The return still to come, foretold before every token by a network of its own.

    Its trunk starts from the policy's weights. On one trunk the two losses would pull at the
    same weights, which small models do not bear.
    """

    def __init__(self, start: str | Path) -> None:
        super().__init__()
        self.trunk = AutoModel.from_pretrained(start, dtype=torch.float32)
        self.head = nn.Linear(self.trunk.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Rows) -> torch.Tensor:
        """Return values, (episodes, response tokens), float32."""
        hidden = self.trunk(input_ids=rows.ids, use_cache=False).last_hidden_state
        values: torch.Tensor = self.head(hidden)[..., 0].float().gather(1, rows.before)
        return values


@dataclass(frozen=True)
class Learner:
    """The networks of a run; ``reference`` is what the policy was."""

    policy: PreTrainedModel
    reference: PreTrainedModel
    value: ValueModel
    scorer: Scorer
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, start: str | Path, scorer: Scorer) -> "Learner":
        """Start all networks from one checkpoint, without dropout, which would move ratios."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        policy, reference = (
            AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32).to(device).eval()
            for _ in range(2)
        )
        reference.requires_grad_(False)
        value = ValueModel(start).to(device).eval()
        groups = [{"params": list(module.parameters())} for module in (policy, value)]
        return cls(policy, reference, value, scorer, torch.optim.AdamW(groups, weight_decay=0.0))

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is trained, by name."""
        return {"policy": self.policy, "value": self.value}


@dataclass(frozen=True)
class Experience:
    """An episode and what was known of it when it was drawn, (response tokens,) each."""

    episode: Episode
    log_probs: torch.Tensor
    gains: torch.Tensor
    returns: torch.Tensor


def train_ppo(
    start: str | Path,
    problems: pl.DataFrame,
    out: Path,
    settings: PpoSettings,
    *,
    template: str,
    scorer: Scorer,
    sampler: Sampler,
    grade: Grader,
    work: Path,
    tell: Callable[[Row], None],
) -> list[Row]:
    """Train a policy, save it to ``out`` and return what every iteration measured.

    The last row is of the finished policy, which is not trained on what it draws then. All rows
    are in ``metrics.jsonl`` and in TensorBoard's ``runs`` as they come, in ``work`` and then in
    ``out``. A run that was killed and is started with the same arguments goes on after the last
    iteration kept in ``work`` and ends in the same weights; weights that were written anew in the
    meantime, of the start or the reward model, make another run.

    Args:
        start: checkpoint that the policy, the reference and the value network start from.
        problems: train problems (problem_id, question, gold_answer, and splitting: the method
            that cuts responses into steps).
        out: folder for the checkpoint.
        settings: how to train.
        template: prompt template of the policy.
        scorer: the reward model, of the kind that ``settings`` names.
        sampler: draws responses; its engine opens a checkpoint that is written anew each time.
        grade: says which responses are right, for the metrics alone.
        work: folder for what a killed run goes on from; removed at the end.
        tell: is given each row as it comes.

    Raises:
        ValueError: no problem is left to train on beside those held out, or an iteration has no
            response to learn from or to measure.
    """
    # Datasets may share a question: it is asked once, and none that is held out is trained on.
    problems = problems.sort("problem_id").unique("question", keep="first", maintain_order=True)
    if problems.height <= settings.num_validation:
        raise ValueError(
            f"PPO: of {problems.height} train questions {settings.num_validation} are held out: "
            "lower num_validation or add problems"
        )
    learner, tokenizer = Learner.of(start, scorer), AutoTokenizer.from_pretrained(start)
    template = open_template(template, tokenizer)
    questions = [
        Question(text, gold, build_prompt(template, text), method)
        for text, gold, method in problems.select(
            "question", "gold_answer", "splitting"
        ).iter_rows()
    ]
    held_out, asked = questions[: settings.num_validation], questions[settings.num_validation :]
    fingerprint = content_id(
        settings.essence,
        identity_of(start),
        scorer.identity,
        str((sampler.max_tokens, sampler.seed, SEEDING)),
        *(f"{question.method} {question.prompt}" for question in questions),
    )
    rows = load_state(work, fingerprint, learner.modules, learner.optimizer)
    board = SummaryWriter(work / "runs", purge_step=len(rows))
    bar = tqdm(total=settings.iterations + 1, initial=len(rows), desc="PPO", unit="iteration")
    for iteration in range(len(rows), settings.iterations + 1):
        started = time.monotonic()
        _write_weights(learner.policy, tokenizer, work / "policy")
        drawn, greedy = sampler.draw(work / "policy", asked, held_out, settings, iteration)
        # Where the tokenizer writes a text with other tokens, those that were drawn are not known.
        episodes = [
            episode
            for question, completion in drawn
            if (episode := read_response(tokenizer, question, completion))
            and len(episode.response) == completion.num_tokens
        ]
        unseen = [episode for pair in greedy if (episode := read_response(tokenizer, *pair))]
        row: Row = {"iteration": iteration, **describe(episodes, grade)}
        row["left_out_share"] = 1 - len(episodes) / len(drawn)
        row["held_out_accuracy"] = describe(unseen, grade)["accuracy"]
        experiences, measured = assess(learner, episodes, settings)
        row |= measured
        if iteration < settings.iterations:
            row |= learn(learner, experiences, settings, iteration, sampler.seed)
        row["seconds"] = time.monotonic() - started
        rows.append(row)
        # Before the state, so that a killed run has no gap: one that goes on replaces the point.
        for name, figure in row.items():
            board.add_scalar(name, figure, iteration)
        board.flush()
        save_state(work, fingerprint, rows, learner.modules, learner.optimizer)
        tell(row)
        bar.update()
        shown = ("reward", "kl", "held_out_accuracy")
        bar.set_postfix({name: f"{row[name]:.3f}" for name in shown})
    board.close()
    loop.save(learner.policy, tokenizer, out)
    write_metrics(out, rows)
    shutil.rmtree(out / "runs", ignore_errors=True)
    (work / "runs").rename(out / "runs")
    shutil.rmtree(work)
    return rows


@torch.no_grad()
def assess(
    learner: Learner, episodes: Sequence[Episode], settings: PpoSettings
) -> tuple[list[Experience], Row]:
    """Return the episodes with their advantages, in their order, and what they say on average.

    A response that was cut has no answer and earns nothing. Advantages are whitened over all
    tokens of the iteration.
    """
    scores = learner.scorer.score([e.question for e in episodes], [e.steps for e in episodes])
    scores = [
        [0.0] * len(of_steps) if episode.is_cut else of_steps
        for episode, of_steps in zip(episodes, scores, strict=True)
    ]
    earned = [step_rewards(of_steps, settings.step_reward) for of_steps in scores]
    # The one score of an outcome reward model stands at the end of the last step.
    places = [e.ends[-len(of_steps) :] for e, of_steps in zip(episodes, scores, strict=True)]
    found: dict[int, tuple[torch.Tensor, ...]] = {}
    for group, rows in _batches(episodes, settings, learner.policy.device):
        log_probs, entropies = log_probs_of(learner.policy, rows, settings.temperature)
        before, _ = log_probs_of(learner.reference, rows, settings.temperature)
        with autocast(learner.policy.device):
            values = learner.value(rows)
        rewards = place_rewards(
            [earned[index] for index in group],
            [places[index] for index in group],
            log_probs - before,
            rows.mask,
            settings.kl_coefficient,
        )
        gains = advantages(
            rewards, values, rows.mask, discount=settings.discount, decay=settings.gae_decay
        )
        for row, index in enumerate(group):
            length = len(episodes[index].response)
            tensors = (log_probs, gains, values, log_probs - before, entropies)
            found[index] = tuple(tensor[row, :length] for tensor in tensors)
    each = [[found[index][part] for index in range(len(episodes))] for part in range(5)]
    gains, values, log_ratio, entropies = (torch.cat(tensors) for tensors in each[1:])
    returns, lengths = gains + values, [len(e.response) for e in episodes]
    whitened = whiten(gains, torch.ones_like(gains))
    experiences = [
        Experience(*parts)
        for parts in zip(
            episodes,
            each[0],
            torch.split(whitened, lengths),
            torch.split(returns, lengths),
            strict=True,
        )
    ]
    return experiences, {
        "reward": sum(map(sum, earned)) / len(earned),
        "lowest_score": sum(map(min, scores)) / len(scores),
        "kl": float(log_ratio.mean()),
        "entropy": float(entropies.mean()),
        "explained_variance": float(1 - gains.var() / (returns.var() + 1e-8)),
    }


def learn(
    learner: Learner,
    experiences: Sequence[Experience],
    settings: PpoSettings,
    iteration: int,
    seed: int,
) -> Row:
    """Take the optimiser steps of one iteration; return what they measured, mean over tokens."""
    # Advantages over an untrained value favour places, not choices: the policy waits for it.
    rates = ((settings.learning_rate, settings.warmup_share), (settings.value_learning_rate, 0.0))
    for group, (peak, warmup) in zip(learner.optimizer.param_groups, rates, strict=True):
        group["lr"] = learning_rate_at(
            iteration,
            settings.iterations,
            peak=peak,
            floor=settings.min_learning_rate,
            warmup_share=warmup,
        )
    rng = random.Random(derive_seed(seed, "ppo", "order", iteration))
    found = []
    for _ in range(settings.epochs):
        order = rng.sample(experiences, len(experiences))
        for first in range(0, len(order), settings.batch_size):
            found.append(_step(learner, order[first : first + settings.batch_size], settings))
    num_tokens = settings.epochs * sum(len(experience.gains) for experience in experiences)
    totals = {name: sum(of_batch[name] for of_batch in found) for name in found[0]}
    return {name: total / num_tokens for name, total in totals.items()} | {
        "learning_rate": learner.optimizer.param_groups[0]["lr"]
    }


def log_probs_of(
    model: PreTrainedModel, rows: Rows, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each response token's log probability, and the entropy where it was drawn."""
    with autocast(model.device):
        logits = model(input_ids=rows.ids, use_cache=False).logits
    width = logits.shape[-1]
    foretelling = logits.gather(1, rows.before[..., None].expand(-1, -1, width)).float()
    every = F.log_softmax(foretelling / temperature, dim=-1)
    return every.gather(2, rows.tokens[..., None])[..., 0], -(every.exp() * every).sum(-1)


def _step(learner: Learner, batch: Sequence[Experience], settings: PpoSettings) -> Row:
    """Take one optimiser step; return sums over the tokens of the batch."""
    num_tokens = sum(len(experience.gains) for experience in batch)
    totals: Row = {"policy_loss": 0.0, "value_loss": 0.0, "clipped_share": 0.0}
    learner.optimizer.zero_grad()
    device = learner.policy.device
    for group, rows in _batches([experience.episode for experience in batch], settings, device):
        drawn, gains, returns = (
            nn.utils.rnn.pad_sequence([getattr(batch[i], name) for i in group], batch_first=True)
            for name in ("log_probs", "gains", "returns")
        )
        log_probs, _ = log_probs_of(learner.policy, rows, settings.temperature)
        with autocast(device):
            values = learner.value(rows)
        of_policy = policy_loss(log_probs, drawn, gains, rows.mask, settings.clip_range)
        of_value = value_loss(values, returns, rows.mask)
        ((of_policy + of_value) / num_tokens).backward()  # type: ignore[no-untyped-call]
        outside = ((log_probs - drawn).exp() - 1).abs() > settings.clip_range
        totals["policy_loss"] += of_policy.item()
        totals["value_loss"] += of_value.item()
        totals["clipped_share"] += float((outside * rows.mask).sum())
    for module in learner.modules.values():
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    learner.optimizer.step()
    return totals


def _batches(
    episodes: Sequence[Episode], settings: PpoSettings, device: torch.device
) -> Iterator[tuple[list[int], Rows]]:
    lengths = [len(episode.prompt) + len(episode.response) for episode in episodes]
    for group in groups_of(lengths, settings.batch_tokens):
        yield group, Rows.of([episodes[index] for index in group], device)


def _write_weights(policy: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    """Write the policy for an engine as precisely as :func:`assess` computes with it.

    What is drawn from rounded weights is less likely by the exact ones, at high rates by far. An
    engine of another ``dtype`` still rounds them: on a CPU it should be float32.
    """
    dtype = torch.bfloat16 if policy.device.type == "cuda" else torch.float32
    written = {name: weight.to(dtype) for name, weight in policy.state_dict().items()}
    policy.save_pretrained(folder, state_dict=written)
    tokenizer.save_pretrained(folder)
