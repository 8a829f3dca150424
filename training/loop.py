"""Run the optimisation loop that every fine-tuning trainer shares.

The same loop runs in one process and under ``accelerate launch``. A killed run resumes from its
last checkpoint.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from resources.storage.weights import weights_identity
from shepherd.identity import content_id
from shepherd.settings import TrainingSettings
from training.checkpoints import Checkpoints
from training.curves import CurveWriter
from training.example_rows import check_columns, check_row
from training.fused_layers import fuse_layers
from training.master_weights import MasterWeights
from training.model_files import join_processes, save_model
from training.optimization import Measurement, Objective, Optimization
from training.outputs import remove_work, replacing_checkpoint, training_alone
from training.packing import Example
from training.pass_threads import PassThreads, num_threads
from training.runs import TrainingReport, TrainingRun
from training.schedules import warm_up_then_cosine
from training.token_files import TokenFiles, draw_order


def train(
    run: TrainingRun,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    objective: Objective,
    *,
    forward: nn.Module | None = None,
) -> TrainingReport:
    """Minimise the objective over the run's examples and save the model to ``run.out``.

    The work folder holds token files, checkpoints and curves. It is removed at the end. Another
    process that trains with the same work folder waits until then.

    Args:
        run: data, settings, seed and folders.
        model, tokenizer: the weights to train, and the tokenizer saved beside them.
        objective: what to minimise.
        forward: the module that computes the logits, if that is not the model itself.

    Raises:
        ValueError: there are no examples, a row is bad, there are fewer examples in a step than
            processes (raise batch_size), or ``run.out`` holds other files than a checkpoint.
    """
    accelerator = join_processes()
    with training_alone(run.out, run.work_folder, is_main=accelerator.is_main_process):
        return _train(run, model, tokenizer, objective, forward or model, accelerator)


def _train(
    run: TrainingRun,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    objective: Objective,
    forward: nn.Module,
    accelerator: Accelerator,
) -> TrainingReport:
    """Train as :func:`train` does, with the work folder for this run alone."""
    work, settings = run.work_folder, run.settings
    train_set, num_cut = _encode(accelerator, work / "train", run.examples, objective)
    validation, _ = _encode(accelerator, work / "validation", run.held_out, objective)
    if not len(train_set):
        raise ValueError(
            f"{objective.name}: there are no examples to train on; materialize its inputs first"
        )
    num_steps = max(1, math.ceil(settings.epochs * len(train_set) / settings.batch_size))
    optimization = _prepare(accelerator, model, forward, objective, settings)
    checkpoints = Checkpoints(
        work / "checkpoint", _fingerprint(run, accelerator, objective, train_set, validation)
    )
    report = TrainingReport(len(train_set), num_cut, num_steps)
    if progress := checkpoints.restore(accelerator):
        report = replace(report, **progress)
        accelerator.print(f"{objective.name}: resumes at step {report.first_step} of {num_steps}")
    else:
        torch.manual_seed(run.seed)
    curves = CurveWriter(work, report.first_step, is_main=accelerator.is_main_process)
    _optimize(optimization, report, train_set, validation, checkpoints, curves, run.seed)
    curves.close()
    weights = accelerator.get_state_dict(optimization.model) if optimization.is_sharded else None
    if accelerator.is_main_process:
        with replacing_checkpoint(run.out) as out:
            save_model(model, tokenizer, out, weights)
            curves.copy_to(out)
        remove_work(work, run.out)
    accelerator.wait_for_everyone()
    return report


def _prepare(
    accelerator: Accelerator,
    model: PreTrainedModel,
    forward: nn.Module,
    objective: Objective,
    settings: TrainingSettings,
) -> Optimization:
    """Return the optimization of a model's weights, distributed over the processes."""
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    masters = None
    if accelerator.device.type == "cuda":
        fuse_layers(model)
        # A sharded model rounds its shards as it gathers them.
        if accelerator.distributed_type != DistributedType.FSDP:
            masters = MasterWeights(
                model.parameters(),
                accelerator.device,
                collects_early=accelerator.num_processes == 1,
            )
            accelerator.register_for_checkpointing(masters)
    parameters = masters.masters if masters else model.parameters()
    prepared, optimizer = accelerator.prepare(
        forward, torch.optim.AdamW(parameters, weight_decay=settings.weight_decay, fused=True)
    )
    count = num_threads(prepared, accelerator.device) if accelerator.num_processes == 1 else 1
    threads = PassThreads(count) if count > 1 else None
    return Optimization(accelerator, prepared, optimizer, objective, settings, masters, threads)


def _fingerprint(
    run: TrainingRun,
    accelerator: Accelerator,
    objective: Objective,
    train_set: TokenFiles,
    validation: TokenFiles,
) -> str:
    """Return a hash of all that the losses and the weights of a run depend on."""
    return content_id(
        objective.name,
        weights_identity(run.base),
        run.settings.essence,
        f"{run.seed} {accelerator.num_processes} {train_set.digest} {validation.digest}",
        accelerator.device.type,
    )


def _optimize(
    optimization: Optimization,
    report: TrainingReport,
    train_set: TokenFiles,
    validation: TokenFiles,
    checkpoints: Checkpoints,
    curves: CurveWriter,
    seed: int,
) -> None:
    """Take the steps from ``report.first_step`` on, and add what they measure to ``report``."""
    settings, num_steps = optimization.settings, report.num_steps
    started = time.monotonic()
    optimization.model.train()
    bar = _progress_bar(optimization, report)
    recorder = _Recorder(report, curves, bar)
    for step in bar:
        rate = settings.learning_rate * warm_up_then_cosine(
            step,
            num_steps,
            warmup_share=settings.warmup_share,
            floor_share=settings.floor_share,
        )
        order = draw_order(len(train_set), step * settings.batch_size, settings.batch_size, seed)
        examples = [train_set[index] for index in order]
        recorder.add(step, rate, optimization.step(examples, rate))
        report.num_tokens += sum(len(example.ids) for example in examples)
        is_last = step + 1 == num_steps
        if len(validation) and (is_last or (step + 1) % settings.evaluation_steps == 0):
            recorder.flush()
            metrics = optimization.evaluate(validation)
            report.evaluations.append({"step": step + 1, **metrics})
            curves.write(step, {f"validation/{name}": value for name, value in metrics.items()})
        if not is_last and (step + 1) % settings.checkpoint_steps == 0:
            recorder.flush()
            curves.flush()
            checkpoints.save(
                optimization.accelerator,
                {
                    "first_step": step + 1,
                    "losses": report.losses,
                    "evaluations": report.evaluations,
                },
            )
    recorder.flush()
    report.seconds = time.monotonic() - started


class _Recorder:
    """Record what each step measured, one step later: until then a GPU computes it."""

    def __init__(self, report: TrainingReport, curves: CurveWriter, bar: "tqdm[int]") -> None:
        self._report, self._curves, self._bar = report, curves, bar
        self._pending: tuple[int, float, Measurement] | None = None

    def add(self, step: int, rate: float, measured: Measurement) -> None:
        """Record the step before, and hold what this one measures."""
        self.flush()
        self._pending = step, rate, measured

    def flush(self) -> None:
        """Record the step that is held."""
        if self._pending is None:
            return
        (step, rate, measured), self._pending = self._pending, None
        loss, norm = measured.read()
        self._report.losses.append(loss)
        self._curves.write(
            step, {"train/loss": loss, "train/gradient_norm": norm, "train/rate": rate}
        )
        self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)


def _progress_bar(optimization: Optimization, report: TrainingReport) -> "tqdm[int]":
    """Return the steps from ``report.first_step`` on, with a bar in the main process."""
    return tqdm(
        range(report.first_step, report.num_steps),
        initial=report.first_step,
        total=report.num_steps,
        desc=optimization.objective.name,
        unit="step",
        mininterval=0.5,
        disable=not optimization.accelerator.is_main_process,
    )


def _encode(
    accelerator: Accelerator,
    folder: Path,
    examples: pl.LazyFrame | pl.DataFrame | None,
    objective: Objective,
) -> tuple[TokenFiles, int]:
    """Let the main process encode the rows into ``folder``.

    Returns:
        The token files, and the number of rows that were shortened or left out.
    """
    num_cut = 0

    def fitting() -> Iterator[Example]:
        nonlocal num_cut
        for row in _rows(examples, objective):
            example = objective.encode(*row)
            num_cut += example is None or example.is_cut
            if example is not None:
                yield example

    if accelerator.is_main_process:
        TokenFiles.write(folder, fitting())
    accelerator.wait_for_everyone()
    return TokenFiles(folder), num_cut


def _rows(
    examples: pl.LazyFrame | pl.DataFrame | None, objective: Objective
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of each row that the objective encodes.

    Raises:
        ValueError: a column is missing, or a row is bad. The message names the row's id, if any.
    """
    if examples is None:
        return
    columns, where = objective.columns, f"{objective.name}: the examples"
    names = examples.lazy().collect_schema().names()
    check_columns(names, columns, where)
    ids = [name for name in ("solution_id", "problem_id") if name in names][:1]
    number = 0
    for batch in examples.lazy().select(*columns, *ids).collect_batches(maintain_order=True):
        for row in batch.iter_rows():
            number += 1
            try:
                check_row(columns, row[: len(columns)], is_whole=objective.is_whole)
            except ValueError as error:
                named = "".join(f" ({name} {row[-1]})" for name in ids)
                raise ValueError(f"{where}, row {number}{named}: {error}") from error
            yield row[: len(columns)]
