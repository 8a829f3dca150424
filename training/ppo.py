"""Train a generator by proximal policy optimisation (PPO) or GRPO against a reward model.

    python -m training ppo --base models/generator --data problems.parquet --out models/step_ppo \
        --reward-model process_reward_model \
        --reward-checkpoint models/process_reward_model
    python -m training grpo ...  # the same flags

An iteration draws responses through an engine, scores them, and takes one optimiser step for each
batch of them, ``epochs`` times over. An outcome reward model rewards the last token of a response,
a process reward model the last token of each step (arXiv 2312.08935, section 3.4). The policy pays
a penalty for its distance from the reference, the frozen model that training started from.

The same code runs in one process and under ``accelerate launch``. Each process draws, scores and
learns its share of the responses; on the same responses, results differ by rounding only.

GRPO (arXiv 2402.03300) is a variant of PPO without a value network. It differs in two places: an
advantage compares a response with the others to its question
(:func:`training.advantages.group_advantages`), and the penalty is a term of the loss
(:func:`training.advantages.kl_loss`) instead of a part of each token's reward.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from accelerate import Accelerator
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from resources.checkpoints.loading import load_tokenizer
from resources.storage.weights import weights_identity
from shepherd.identity import SEEDING, content_id
from shepherd.prompts import build_prompt, open_template
from shepherd.settings import ReinforcementSettings
from training.checkpoints import Checkpoints
from training.continuation import require_end_token
from training.curves import CurveWriter
from training.draws import GradeTexts, PolicySampler, response_metrics
from training.episodes import Question, read_response
from training.experiences import assess
from training.model_files import join_processes, save_model
from training.outputs import remove_work, replacing_checkpoint, training_alone
from training.policy_engine import PolicyEngine
from training.policy_metrics import IterationMetrics, write_metrics
from training.policy_steps import learn
from training.ppo_networks import PpoNetworks
from training.scoring import Scorer


@dataclass(frozen=True)
class PpoRun:
    """Name everything that PPO or GRPO needs: weights, problems, settings, engine and folders."""

    start: str | Path
    """Checkpoint that the policy, the reference and the value network start from."""
    problems: pl.DataFrame
    """Train problems: problem_id, question, gold_answer, and splitting: the method that splits
    responses into steps."""
    out: Path
    """Folder for the trained checkpoint."""
    settings: ReinforcementSettings
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
    """Called in the main process with the metrics of each iteration as it ends."""


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
    accelerator = join_processes()
    with training_alone(run.out, run.work, is_main=accelerator.is_main_process):
        return _train_ppo(run, accelerator)


def _train_ppo(run: PpoRun, accelerator: Accelerator) -> list[IterationMetrics]:
    """Train as :func:`train_ppo` does, with the work folder for this run alone."""
    settings = run.settings
    tokenizer = load_tokenizer(run.start)
    require_end_token(tokenizer)
    held_out, train_questions = split_questions(run, tokenizer)
    networks = PpoNetworks.of(accelerator, run.start, run.scorer, settings)
    fingerprint = content_id(
        settings.essence,
        weights_identity(run.start),
        run.scorer.identity,
        str((run.sampler.max_tokens, run.sampler.seed, SEEDING)),
        *run.sampler.stop,
        f"{accelerator.num_processes} {accelerator.distributed_type} {accelerator.device.type}",
        *(f"{question.method} {question.prompt}" for question in held_out + train_questions),
    )
    checkpoints = Checkpoints(run.work / "checkpoint", fingerprint)
    saved = checkpoints.restore(accelerator)
    history: list[IterationMetrics] = saved["history"] if saved else []
    is_main = accelerator.is_main_process
    curves = CurveWriter(run.work, len(history), is_main=is_main)
    bar = tqdm(
        total=settings.iterations + 1,
        initial=len(history),
        desc=settings.method,
        unit="iteration",
        disable=not is_main,
    )
    with closing(PolicyEngine(run.sampler.open_engine, networks, tokenizer, run.work)) as engine:
        for iteration in range(len(history), settings.iterations + 1):
            metrics = iterate(
                run, networks, engine, tokenizer, train_questions, held_out, iteration
            )
            history.append(metrics)
            # Curves come before the state, so that a kill leaves no gap. A resumed run replaces
            # the point of an iteration that it repeats.
            curves.write(iteration, metrics)
            curves.flush()
            checkpoints.save(accelerator, {"history": history})
            if is_main:
                write_metrics(run.work, history)
                run.on_iteration(metrics)
            bar.update()
            bar.set_postfix(
                {name: f"{metrics[name]:.3f}" for name in ("reward", "kl", "held_out_accuracy")}
            )
    curves.close()
    _publish(run, networks, tokenizer, history, curves)
    return history


def _publish(
    run: PpoRun,
    networks: PpoNetworks,
    tokenizer: PreTrainedTokenizerBase,
    history: Sequence[IterationMetrics],
    curves: CurveWriter,
) -> None:
    """Let the main process put the trained checkpoint in place; the others wait until it has."""
    accelerator = networks.accelerator
    weights = accelerator.get_state_dict(networks.policy) if networks.is_sharded else None
    if accelerator.is_main_process:
        with replacing_checkpoint(run.out) as out:
            save_model(networks.unwrapped_policy, tokenizer, out, weights)
            write_metrics(out, history)
            curves.copy_to(out)
        remove_work(run.work, run.out)
    accelerator.wait_for_everyone()


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
            f"{run.settings.kind.upper()}: of {problems.height} train questions {num_held_out} "
            "are held out: lower num_validation or add problems"
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
    engine: PolicyEngine,
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
    with engine.drawing() as drawing:
        sampled, greedy = run.sampler.draw(drawing, train_questions, held_out, settings, iteration)
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
