"""Take optimisation steps and evaluate, on one process or several.

Every process draws the same examples for each step and computes its share of them. Losses divide
by the counts of the whole step, so that neither the number of processes nor the number of passes
changes what is minimised.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object
from torch import nn

from shepherd.settings import TOKENS_PER_PASS, TrainingSettings
from training.master_weights import MasterWeights
from training.packing import Batch, Counts, Example, logits_of, pack
from training.pass_threads import PassThreads
from training.passes import split_passes
from training.token_files import TokenFiles

CLIP_NORM = 1.0
"""Gradients are scaled down to at most this norm."""


@dataclass(frozen=True)
class Objective:
    """Say what a trainer reads, what it minimises and what its evaluations report."""

    name: str
    """Title of the progress bar and of error messages; part of the run's fingerprint."""
    columns: tuple[str, ...]
    """Columns of the examples that ``encode`` takes, in this order."""
    encode: Callable[..., Example | None]
    """Encode one row; None for a row that does not fit into ``max_length``."""
    loss: Callable[[torch.Tensor, Batch], torch.Tensor]
    """Return the sum over a batch, divided by the counts of its whole step, from (places, width)
    logits."""
    predict: Callable[[torch.Tensor, Batch], torch.Tensor]
    """Return (predictions, 2): the model's prediction and the truth, one row a tag or target."""
    metrics: Callable[[torch.Tensor], dict[str, float]]
    """Name the metrics of all predictions of an evaluation."""
    reads_targets: bool = True
    """Whether the loss reads logits at targets. Without, the model computes them at tags alone."""
    is_whole: bool = False
    """Whether each row holds one step, the whole solution, as an ORM reads it."""


class Measurement:
    """The numbers that a step measures, on their way from a GPU.

    Reading them waits for that step only. So the next one can be asked for before, and a GPU never
    waits for the processor.
    """

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values.to("cpu", non_blocking=True)
        self._has_arrived = torch.cuda.Event() if values.is_cuda else None  # type: ignore[no-untyped-call]
        if self._has_arrived:
            self._has_arrived.record()

    def read(self) -> list[float]:
        """Return the numbers."""
        if self._has_arrived:
            self._has_arrived.synchronize()
        numbers: list[float] = self._values.tolist()
        return numbers


@dataclass(frozen=True)
class Optimization:
    """Hold what a step needs: ``model`` and ``optimizer`` are prepared by ``accelerator``."""

    accelerator: Accelerator
    model: nn.Module
    optimizer: torch.optim.Optimizer
    objective: Objective
    settings: TrainingSettings
    masters: MasterWeights | None = None
    """What the optimizer changes, if the model computes in bfloat16; None: the model itself."""
    threads: PassThreads | None = None
    """Compute passes side by side, if one process trains a small model on a CPU."""

    @property
    def is_sharded(self) -> bool:
        """Return whether each process holds a part of the weights only (FSDP)."""
        return bool(self.accelerator.distributed_type == DistributedType.FSDP)

    @property
    def _tokens_per_pass(self) -> int:
        return self.settings.tokens_per_pass or TOKENS_PER_PASS[self.accelerator.device.type]

    def step(self, examples: Sequence[Example], rate: float) -> "Measurement":
        """Take one step over ``examples`` of all processes.

        Returns:
            The loss, and the norm of the gradients before clipping. A GPU may still compute them.
        """
        accelerator = self.accelerator
        total = (
            self._backward_side_by_side(examples, self.threads)
            if self.threads
            else self._backward(examples)
        )
        parameters = self.masters.masters if self.masters else self.model.parameters()
        norm = accelerator.clip_grad_norm_(parameters, CLIP_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.masters:
            self.masters.round_weights()
        return Measurement(torch.stack([accelerator.reduce(total, "sum"), norm]))

    def _backward(self, examples: Sequence[Example]) -> torch.Tensor:
        """Compute the gradients of this process's passes; return the sum of their losses."""
        accelerator = self.accelerator
        lengths = [len(example.ids) for example in examples]
        shares = split_passes(lengths, accelerator.num_processes, self._tokens_per_pass)
        passes = shares[accelerator.process_index]
        counts = Counts.of(examples)
        total = torch.zeros((), device=accelerator.device)
        for number, indices in enumerate(passes, start=1):
            batch = self._pack([examples[index] for index in indices], counts)
            # Processes exchange gradients in the last pass. A sharded model exchanges them in
            # each pass: otherwise each process would hold the gradients of the whole model. With
            # masters they are exchanged before they are added up in float32.
            exchanges = number == len(passes) or self.is_sharded or self.masters is not None
            with nullcontext() if exchanges else accelerator.no_sync(self.model):
                loss = self._loss(self._logits(batch), batch)
                # The gradients of the processes are averaged, and the loss is their sum.
                accelerator.backward(loss * accelerator.num_processes)
            if self.masters:
                self.masters.collect_gradients()
            total += loss.detach()
        return total

    def _backward_side_by_side(
        self, examples: Sequence[Example], threads: PassThreads
    ) -> torch.Tensor:
        """Compute the gradients of all passes, one pass a thread; return the sum of the losses."""
        lengths = [len(example.ids) for example in examples]
        count = min(threads.count, len(examples))
        counts = Counts.of(examples)

        def loss_of(indices: Sequence[int]) -> torch.Tensor:
            batch = self._pack([examples[index] for index in indices], counts)
            return self._loss(self._logits(batch), batch)

        return threads.backward(
            list(self.model.parameters()),
            [
                [partial(loss_of, indices) for indices in passes]
                for passes in split_passes(lengths, count, self._tokens_per_pass)
            ],
        )

    def evaluate(self, examples: TokenFiles) -> dict[str, float]:
        """Return the loss on held-out examples and the objective's metrics.

        The processes share the passes.
        """
        accelerator = self.accelerator
        groups = group_by_length(examples.lengths, self._tokens_per_pass)
        # Sharded models need equally many passes of every process: the first group fills the gap.
        num_missing = -len(groups) % accelerator.num_processes
        numbered = [*enumerate(groups), *((-1, groups[0]) for _ in range(num_missing))]

        @torch.no_grad()
        def measure(group: tuple[int, list[int]]) -> tuple[int, float, torch.Tensor]:
            number, indices = group
            batch = self._pack([examples[index] for index in indices], examples.counts)
            logits = self._logits(batch)
            predictions = self.objective.predict(logits, batch).cpu()
            return number, self._loss(logits, batch).item(), predictions

        self.model.eval()
        share = numbered[accelerator.process_index :: accelerator.num_processes]
        results = list(self.threads.map(measure, share) if self.threads else map(measure, share))
        self.model.train()
        gathered = sorted(
            (result for result in gather_object(results) if result[0] >= 0),
            key=lambda result: result[0],
        )
        all_predictions = torch.cat([predictions for *_, predictions in gathered])
        loss = sum(loss for _, loss, _ in gathered)
        return {"loss": loss, **self.objective.metrics(all_predictions)}

    def _pack(self, examples: Sequence[Example], counts: Counts) -> Batch:
        batch = pack(examples, counts, tags_only=not self.objective.reads_targets)
        return batch.to(self.accelerator.device)

    def _logits(self, batch: Batch) -> torch.Tensor:
        with self.accelerator.autocast():
            return logits_of(self.model, batch)

    def _loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.objective.loss(logits, batch)


def group_by_length(lengths: np.ndarray, max_tokens: int) -> list[list[int]]:
    """Group examples, in order of length, up to ``max_tokens`` a group; a longer one is alone."""
    groups: list[list[int]] = []
    room = 0
    for index in np.argsort(lengths, kind="stable").tolist():
        if lengths[index] > room:
            groups.append([])
            room = max_tokens
        groups[-1].append(index)
        room -= int(lengths[index])
    return groups
