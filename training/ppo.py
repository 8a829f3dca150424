"""Train a generator by proximal policy optimisation (PPO) against a reward model.

    python -m training ppo --base models/generator --data problems.parquet --out models/step_ppo \
        --reward-model process_reward_model \
        --reward-checkpoint models/process_reward_model

An iteration draws responses through an engine, scores them, and takes one optimiser step for each
batch of them, ``epochs`` times over. An outcome reward model rewards the last token of a response,
a process reward model the last token of each step (arXiv 2312.08935, section 3.4). Every token pays
a penalty for its log ratio to the reference, the frozen model that training started from. A run
uses one process and one device.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from resources.checkpoints.loading import load_tokenizer
from resources.storage.weights import weights_identity
from shepherd.identity import SEEDING, content_id, derive_seed
from shepherd.prompts import build_prompt, open_template
from shepherd.settings import PpoSettings
from training.advantages import policy_loss, value_loss
from training.continuation import require_end_token
from training.curves import CurveWriter
from training.draws import GradeTexts, PolicySampler, response_metrics
from training.episodes import Question, episode_batches, read_response
from training.experiences import Experience, assess
from training.model_files import save_model
from training.outputs import remove_work, replacing_checkpoint, training_alone
from training.ppo_networks import PpoNetworks, autocast, log_probs_of, write_policy
from training.ppo_state import IterationMetrics, load_state, save_state, write_metrics
from training.schedules import wait_then_cosine
from training.scoring import Scorer


@dataclass(frozen=True)
class PpoRun:
    """Name everything that PPO needs: weights, problems, settings, engine and folders."""

    start: str | Path
    """Checkpoint that the policy, the reference and the value network start from."""
    problems: pl.DataFrame
    """Train problems: problem_id, question, gold_answer, and splitting: the method that splits
    responses into steps."""
    out: Path
    """Folder for the trained checkpoint."""
    settings: PpoSettings
    template: str
    """Prompt template of the policy."""
    scorer: Scorer
    """The reward model, of the kind that ``settings.reward_model`` names."""
    sampler: PolicySampler
    grade: GradeTexts
    """Grades responses; for the metrics only."""
    work: Path
    """Folder from which a killed run resumes; removed at the end."""
    on_iteration: Callable[[IterationMetrics], None] = lambda _: None
    """Called with the metrics of each iteration as it ends."""


def train_ppo(run: PpoRun) -> list[IterationMetrics]:
    """Train a policy, save it to ``run.out`` and return ``iterations`` + 1 rows of metrics.

    Row i measures the policy before it learns in iteration i. The last row measures the finished
    policy, which does not learn from these draws.
    ``metrics.jsonl`` and TensorBoard's ``runs`` hold all metrics, in ``run.work`` during the run
    and in ``run.out`` afterwards. A killed run that is started again with the same arguments
    resumes after its last complete iteration and ends in the same weights. Another process that
    trains with the same work folder waits until then.

    Raises:
        ValueError: ``num_validation`` leaves no problem to train on (lower it), or no response of
            an iteration can be learned from or measured (:func:`training.draws.response_metrics`);
            or ``run.out`` holds other files than a checkpoint.
    """
    with training_alone(run.out, run.work):
        return _train_ppo(run)


def _train_ppo(run: PpoRun) -> list[IterationMetrics]:
    """Train as :func:`train_ppo` does, with the work folder for this run alone."""
    settings = run.settings
    tokenizer = load_tokenizer(run.start)
    require_end_token(tokenizer)
    held_out, train_questions = split_questions(run, tokenizer)
    networks = PpoNetworks.of(run.start, run.scorer)
    fingerprint = content_id(
        settings.essence,
        weights_identity(run.start),
        run.scorer.identity,
        str((run.sampler.max_tokens, run.sampler.seed, SEEDING)),
        *(f"{question.method} {question.prompt}" for question in held_out + train_questions),
    )
    history = load_state(run.work, fingerprint, networks.trained, networks.optimizer)
    curves = CurveWriter(run.work, len(history))
    bar = tqdm(total=settings.iterations + 1, initial=len(history), desc="PPO", unit="iteration")
    for iteration in range(len(history), settings.iterations + 1):
        metrics = iterate(run, networks, tokenizer, train_questions, held_out, iteration)
        history.append(metrics)
        # Curves come before the state, so that a kill leaves no gap. A resumed run replaces the
        # point of an iteration that it repeats.
        curves.write(iteration, metrics)
        curves.flush()
        save_state(run.work, fingerprint, history, networks.trained, networks.optimizer)
        run.on_iteration(metrics)
        bar.update()
        bar.set_postfix(
            {name: f"{metrics[name]:.3f}" for name in ("reward", "kl", "held_out_accuracy")}
        )
    curves.close()
    with replacing_checkpoint(run.out) as out:
        save_model(networks.policy, tokenizer, out)
        write_metrics(out, history)
        curves.copy_to(out)
    remove_work(run.work, run.out)
    return history


def split_questions(
    run: PpoRun, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[Question], list[Question]]:
    """Return the ``num_validation`` held-out questions and those to train on.

    The questions with the lowest problem ids, which are hashes, are held out. A question that
    several datasets share counts once, so that no held-out question is trained on.

    Raises:
        ValueError: there are no more questions than ``num_validation``: lower it or add problems.
    """
    problems = run.problems.sort("problem_id").unique("question", keep="first", maintain_order=True)
    num_held_out = run.settings.num_validation
    if problems.height <= num_held_out:
        raise ValueError(
            f"PPO: of {problems.height} train questions {num_held_out} are held out: "
            "lower num_validation or add problems"
        )
    template = open_template(run.template, tokenizer)
    columns = problems.select("question", "gold_answer", "splitting")
    questions = [
        Question(text, gold, build_prompt(template, text), method)
        for text, gold, method in columns.iter_rows()
    ]
    return questions[:num_held_out], questions[num_held_out:]


def iterate(
    run: PpoRun,
    networks: PpoNetworks,
    tokenizer: PreTrainedTokenizerBase,
    train_questions: Sequence[Question],
    held_out: Sequence[Question],
    iteration: int,
) -> IterationMetrics:
    """Draw, score and learn once; return the metrics.

    In iteration ``iterations``, counted from 0, nothing is learned: it measures the final policy.
    """
    started = time.monotonic()
    settings = run.settings
    write_policy(networks.policy, tokenizer, run.work / "policy")
    sampled, greedy = run.sampler.draw(
        run.work / "policy", train_questions, held_out, settings, iteration
    )
    # An engine returns text, which is encoded again. If that gives another number of tokens than
    # were drawn, the drawn tokens are unknown and the response cannot be learned from.
    episodes = [
        episode
        for question, completion in sampled
        if (episode := read_response(tokenizer, question, completion))
        and len(episode.response) == completion.num_tokens
    ]
    greedy_episodes = [episode for pair in greedy if (episode := read_response(tokenizer, *pair))]
    metrics: IterationMetrics = {"iteration": iteration, **response_metrics(episodes, run.grade)}
    metrics["left_out_share"] = 1 - len(episodes) / len(sampled)
    metrics["held_out_accuracy"] = response_metrics(greedy_episodes, run.grade)["accuracy"]
    experiences, assessment = assess(networks, episodes, settings)
    metrics |= assessment
    if iteration < settings.iterations:
        metrics |= learn(networks, experiences, settings, iteration, run.sampler.seed)
    metrics["seconds"] = time.monotonic() - started
    return metrics


def learn(
    networks: PpoNetworks,
    experiences: Sequence[Experience],
    settings: PpoSettings,
    iteration: int,
    seed: int,
) -> IterationMetrics:
    """Take the optimiser steps of one iteration; return means over tokens and the learning rate.

    The means are ``policy_loss``, ``value_loss`` and ``clipped_share``.
    """
    # With an untrained value network, advantages reflect positions rather than the chosen tokens:
    # the policy does not learn for the first ``warmup_share`` of the iterations.
    rates = ((settings.learning_rate, settings.warmup_share), (settings.value_learning_rate, 0.0))
    for group, (peak, wait_share) in zip(networks.optimizer.param_groups, rates, strict=True):
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
        "learning_rate": networks.optimizer.param_groups[0]["lr"]
    }


def _step(
    networks: PpoNetworks, experiences: Sequence[Experience], settings: PpoSettings
) -> IterationMetrics:
    """Take one optimiser step; return sums over the tokens of the experiences."""
    num_tokens = sum(len(experience.advantages) for experience in experiences)
    sums: IterationMetrics = {"policy_loss": 0.0, "value_loss": 0.0, "clipped_share": 0.0}
    networks.optimizer.zero_grad()
    device = networks.policy.device
    episodes = [experience.episode for experience in experiences]
    for indices, batch in episode_batches(episodes, settings.batch_tokens, device):
        in_batch = [experiences[index] for index in indices]
        drawn_log_probs, advantages, returns = (
            nn.utils.rnn.pad_sequence(tensors, batch_first=True)
            for tensors in (
                [experience.log_probs for experience in in_batch],
                [experience.advantages for experience in in_batch],
                [experience.returns for experience in in_batch],
            )
        )
        log_probs, _ = log_probs_of(networks.policy, batch, settings.temperature)
        with autocast(device):
            values = networks.value(batch)
        policy_term = policy_loss(
            log_probs, drawn_log_probs, advantages, batch.mask, settings.clip_range
        )
        value_term = value_loss(values, returns, batch.mask)
        torch.autograd.backward((policy_term + value_term) / num_tokens)
        is_clipped = ((log_probs - drawn_log_probs).exp() - 1).abs() > settings.clip_range
        sums["policy_loss"] += policy_term.item()
        sums["value_loss"] += value_term.item()
        sums["clipped_share"] += float((is_clipped * batch.mask).sum())
    for module in networks.trained.values():
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    networks.optimizer.step()
    return sums
