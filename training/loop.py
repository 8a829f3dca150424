"""What every trainer shares: one optimisation loop, on one process or several.

The same file runs by itself and under ``accelerate launch``. Every process draws the same
examples for each step and computes its share; losses divide by the counts of the whole step, so
that neither the number of processes nor that of passes changes what is minimised.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs, gather_object
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from shepherd.identity import content_id
from shepherd.settings import TOKENS_PER_PASS, TrainingSettings
from training.checkpoints import Checkpoints, identity_of
from training.packing import PACKED, Batch, Counts, Example, logits_of, pack, split_passes
from training.token_files import TokenFiles, draw_order

CLIP_NORM = 1.0

Predictions = torch.Tensor
"""(predictions, 2): what the model says and what is true, one row a tag or target."""


@dataclass(frozen=True)
class Objective:
    """What is minimised, and what evaluation tells beside the loss.

    ``loss_of(logits, batch)`` is a sum over the batch divided by the counts of its whole step;
    ``predict`` gives predictions, and ``judge`` names figures of all of them.
    """

    loss_of: Callable[[torch.Tensor, Batch], torch.Tensor]
    predict: Callable[[torch.Tensor, Batch], Predictions]
    judge: Callable[[Predictions], dict[str, float]]


@dataclass
class TrainingReport:
    """What a run did. ``losses`` has one value a step; ``num_cut`` counts what did not fit.

    ``evaluations`` has one entry an evaluation on held-out problems: its step and its figures.
    ``num_tokens`` and ``seconds`` are of this process group's own steps, without those of a run
    that it resumed from ``first_step``.
    """

    num_examples: int
    num_cut: int
    num_steps: int
    first_step: int = 0
    num_tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)


def start() -> Accelerator:
    """Join the other processes, if there are any; bfloat16 on GPUs, float32 on CPUs."""
    on_gpu = torch.cuda.is_available()
    # Encoding a large set takes the main process longer than others wait by default.
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=6))
    return Accelerator(
        mixed_precision="bf16" if on_gpu else "no", cpu=not on_gpu, kwargs_handlers=[patience]
    )


def load(
    base: str | Path, kind: Any = AutoModelForCausalLM, **fields: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model for training in float32 on packed batches, and its tokenizer.

    ``kind`` is one of transformers' Auto classes; ``fields`` are its config, or fields of that.
    """
    start()  # before the weights: where they are sharded, not every process reads them
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = kind.from_pretrained(base, dtype=torch.float32, attn_implementation=PACKED, **fields)
    return model, tokenizer


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write an ordinary Hugging Face checkpoint in bfloat16 safetensors.

    ``weights`` are all of the model's, where its own parameters are shards.
    """
    if weights is None:
        model.to(torch.bfloat16).save_pretrained(out)
    else:
        # Tied weights stay one tensor.
        halved = {tensor.data_ptr(): tensor.to(torch.bfloat16) for tensor in weights.values()}
        model.save_pretrained(
            out, state_dict={name: halved[of.data_ptr()] for name, of in weights.items()}
        )
    tokenizer.save_pretrained(out)


def learning_rate_share(
    step: int, num_steps: int, warmup_share: float, floor_share: float
) -> float:
    """Return the share of the peak rate: linear warm-up, then cosine to a floor."""
    warmup = max(1, round(warmup_share * num_steps))
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    return floor_share + (1 - floor_share) * (1 + math.cos(math.pi * progress)) / 2


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Iterable[Example | None],
    objective: Objective,
    settings: TrainingSettings,
    out: Path,
    *,
    base: str | Path,
    seed: int,
    name: str,
    held_out: Iterable[Example | None] = (),
    work: Path | None = None,
    forward: nn.Module | None = None,
) -> TrainingReport:
    """Minimise the objective over the examples and save the model to ``out``.

    Args:
        examples: encoded as they are asked for; None stands for one that does not fit.
        held_out: examples of problems that training does not see, to evaluate on.
        base: where the model comes from: another base never resumes this run's checkpoint.
        work: folder for token files, checkpoints and metrics, ``.<out>.training`` beside ``out``
            if None. A run that was killed goes on from it; it is removed at the end.
        forward: what computes the logits, where that is not the model itself.

    Raises:
        ValueError: there are no examples, or fewer a step than processes.
    """
    accelerator = start()
    work = work or out.with_name(f".{out.name}.training")
    train_set, num_cut = _write(accelerator, work / "train", examples)
    validation, _ = _write(accelerator, work / "validation", held_out)
    if not len(train_set):
        raise ValueError(f"{name}: there are no examples to train on; materialize its inputs first")
    num_steps = max(1, math.ceil(settings.epochs * len(train_set) / settings.batch_size))
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    trained, optimizer = accelerator.prepare(
        forward or model,
        torch.optim.AdamW(model.parameters(), weight_decay=settings.weight_decay, fused=True),
    )
    checkpoints = Checkpoints(
        work / "checkpoint",
        content_id(
            name,
            identity_of(base),
            settings.essence,
            f"{seed} {accelerator.num_processes} {train_set.digest} {validation.digest}",
        ),
    )
    report = TrainingReport(len(train_set), num_cut, num_steps)
    if found := checkpoints.restore(accelerator):
        report = replace(report, **found)
        accelerator.print(f"{name}: goes on from step {report.first_step} of {num_steps}")
    else:
        torch.manual_seed(seed)
    board = Board(accelerator, work / "runs", report.first_step)
    progress = tqdm(
        range(report.first_step, num_steps),
        initial=report.first_step,
        total=num_steps,
        desc=name,
        unit="step",
        mininterval=0.5,
        disable=not accelerator.is_main_process,
    )
    started = time.monotonic()
    trained.train()
    for step in progress:
        rate = settings.learning_rate * learning_rate_share(
            step, num_steps, settings.warmup_share, settings.floor_share
        )
        chosen = draw_order(len(train_set), step * settings.batch_size, settings.batch_size, seed)
        whole = [train_set[index] for index in chosen]
        loss, norm = _step(accelerator, trained, optimizer, objective, whole, settings, rate)
        report.losses.append(loss)
        report.num_tokens += sum(len(example.ids) for example in whole)
        board.write(step, {"train/loss": loss, "train/gradient_norm": norm, "train/rate": rate})
        progress.set_postfix(loss=f"{loss:.3f}", refresh=False)
        is_last = step + 1 == num_steps
        if len(validation) and (is_last or (step + 1) % settings.evaluation_steps == 0):
            figures = evaluate(accelerator, trained, objective, validation, settings)
            report.evaluations.append({"step": step + 1, **figures})
            board.write(step, {f"validation/{name}": value for name, value in figures.items()})
        if not is_last and (step + 1) % settings.checkpoint_steps == 0:
            kept = {"losses": report.losses, "evaluations": report.evaluations}
            board.flush()
            checkpoints.save(accelerator, {"first_step": step + 1, **kept})
    report.seconds = time.monotonic() - started
    board.close()
    weights = accelerator.get_state_dict(trained) if _is_sharded(accelerator) else None
    if accelerator.is_main_process:
        save(model, tokenizer, out, weights)
        shutil.rmtree(out / "runs", ignore_errors=True)
        (work / "runs").rename(out / "runs")
        shutil.rmtree(work)
    accelerator.wait_for_everyone()
    return report


def _write(
    accelerator: Accelerator, folder: Path, examples: Iterable[Example | None]
) -> tuple[TokenFiles, int]:
    """Let the main process write the examples; return them, and how many were cut or left out."""
    num_cut = 0

    def fitting() -> Iterator[Example]:
        nonlocal num_cut
        for example in examples:
            num_cut += example is None or example.is_cut
            if example is not None:
                yield example

    if accelerator.is_main_process:
        TokenFiles.write(folder, fitting())
    accelerator.wait_for_everyone()
    return TokenFiles(folder), num_cut


def _is_sharded(accelerator: Accelerator) -> bool:
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def _step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    examples: Sequence[Example],
    settings: TrainingSettings,
    rate: float,
) -> tuple[float, float]:
    """Do one optimisation step; return its loss, and the norm of its gradients before clipping."""
    lengths = [len(example.ids) for example in examples]
    room = settings.tokens_per_pass or TOKENS_PER_PASS[accelerator.device.type]
    shares = split_passes(lengths, accelerator.num_processes, room)
    passes = shares[accelerator.process_index]
    counts = Counts.of(examples)
    total = torch.zeros((), device=accelerator.device)
    for number, indices in enumerate(passes, start=1):
        batch = pack([examples[index] for index in indices], counts).to(accelerator.device)
        # Without it, each process of a sharded model would hold the gradients of all of it.
        is_last = number == len(passes)
        syncs = nullcontext() if is_last or _is_sharded(accelerator) else accelerator.no_sync(model)
        with syncs:
            with accelerator.autocast():
                logits = logits_of(model, batch)
            loss = objective.loss_of(logits, batch)
            # Gradients of the processes are averaged, and the loss is their sum.
            accelerator.backward(loss * accelerator.num_processes)
        total += loss.detach()
    norm = accelerator.clip_grad_norm_(model.parameters(), CLIP_NORM)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad()
    return float(accelerator.reduce(total, "sum")), float(norm)


@torch.no_grad()
def evaluate(
    accelerator: Accelerator,
    model: nn.Module,
    objective: Objective,
    examples: TokenFiles,
    settings: TrainingSettings,
) -> dict[str, float]:
    """Return the loss on held-out examples and the figures of the objective; all processes help."""
    room = settings.tokens_per_pass or TOKENS_PER_PASS[accelerator.device.type]
    groups = _by_length(examples.lengths, room)
    # Sharded models need equally many passes of every process: the last groups may repeat.
    missing = -len(groups) % accelerator.num_processes
    model.eval()
    found: list[tuple[int, float, Predictions]] = []
    own = [*enumerate(groups), *((-1, groups[0]) for _ in range(missing))]
    for number, indices in own[accelerator.process_index :: accelerator.num_processes]:
        batch = pack([examples[index] for index in indices], examples.counts)
        batch = batch.to(accelerator.device)
        with accelerator.autocast():
            logits = logits_of(model, batch)
        loss = objective.loss_of(logits, batch).item()
        found.append((number, loss, objective.predict(logits, batch).cpu()))
    model.train()
    gathered = sorted((row for row in gather_object(found) if row[0] >= 0), key=lambda row: row[0])
    predictions = torch.cat([predictions for *_, predictions in gathered])
    return {"loss": sum(loss for _, loss, _ in gathered), **objective.judge(predictions)}


def _by_length(lengths: np.ndarray, tokens_per_pass: int) -> list[list[int]]:
    """Cut examples in order of length into groups of at most so many tokens, or of one."""
    groups: list[list[int]] = []
    room = 0
    for index in np.argsort(lengths, kind="stable").tolist():
        if lengths[index] > room:
            groups.append([])
            room = tokens_per_pass
        groups[-1].append(index)
        room -= int(lengths[index])
    return groups


class Board:
    """Curves for TensorBoard, written by the main process; one that goes on replaces what follows.

    ``tensorboard --logdir`` on the folder of models shows them while a model trains, and after.
    """

    def __init__(self, accelerator: Accelerator, folder: Path, first_step: int) -> None:
        """Open the folder's curves."""
        is_main = accelerator.is_main_process
        self._writer = SummaryWriter(folder, purge_step=first_step) if is_main else None

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        if self._writer:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write what is left."""
        if self._writer:
            self._writer.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        if self._writer:
            self._writer.close()
