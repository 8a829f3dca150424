"""What every trainer shares: examples of token ids, padded batches and one optimisation loop."""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from shepherd.settings import TrainingSettings

IGNORED = -100
"""A target that does not count."""


@dataclass(frozen=True)
class Example:
    """One sequence. ``targets[t]`` is the token to predict at position t, or IGNORED.

    ``tags`` are the positions whose reward is trained and ``labels`` their labels in [0, 1]:
    none for SFT, one for an ORM, one a step for a PRM.
    """

    ids: list[int]
    targets: list[int]
    tags: list[int]
    labels: list[float]

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.targets)
        assert len(self.tags) == len(self.labels), "labels and step tags differ in number"


@dataclass(frozen=True)
class Batch:
    """Padded examples: ``ids``, ``mask`` and ``targets`` are (batch, length), int64.

    ``rows``, ``columns`` and ``labels`` are (tags of the batch,): tag i stands at
    ``ids[rows[i], columns[i]]``.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class TrainingReport:
    """What a run did. ``losses`` has one value a step; ``num_cut`` counts what did not fit."""

    num_examples: int
    num_cut: int
    num_steps: int
    num_tokens: int
    seconds: float
    losses: list[float]


def next_tokens(ids: Sequence[int], counts: Sequence[bool]) -> list[int]:
    """Return the target of each position: the next token where that one counts, else IGNORED."""
    following = zip(ids[1:], counts[1:], strict=True)
    return [*(token if counted else IGNORED for token, counted in following), IGNORED]


def load(base: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model for training in float32, and its tokenizer."""
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Write an ordinary Hugging Face checkpoint in bfloat16 safetensors."""
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad examples on the right to the longest of them."""
    length = max(len(example.ids) for example in examples)

    def padded(rows: list[list[int]], value: int) -> torch.Tensor:
        return torch.tensor([row + [value] * (length - len(row)) for row in rows])

    places = [(row, tag) for row, example in enumerate(examples) for tag in example.tags]
    return Batch(
        ids=padded([example.ids for example in examples], pad_id),
        mask=padded([[1] * len(example.ids) for example in examples], 0),
        targets=padded([example.targets for example in examples], IGNORED),
        rows=torch.tensor([row for row, _ in places], dtype=torch.long),
        columns=torch.tensor([column for _, column in places], dtype=torch.long),
        labels=torch.tensor([label for example in examples for label in example.labels]),
    )


def draw_batches(
    examples: Sequence[Example], batch_size: int, num_steps: int, pad_id: int, rng: random.Random
) -> Iterator[Batch]:
    """Yield ``num_steps`` batches, epoch after epoch, of similar lengths and in random order."""
    queue: list[list[Example]] = []
    for _ in range(num_steps):
        if not queue:
            order = sorted(examples, key=lambda example: (len(example.ids) // 8, rng.random()))
            queue = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
            rng.shuffle(queue)
        yield collate(queue.pop(), pad_id)


def learning_rate_share(step: int, num_steps: int, warmup_share: float) -> float:
    """Return the share of the peak rate: linear warm-up, then cosine to a tenth of it."""
    warmup = max(1, round(warmup_share * num_steps))
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))


def train(
    model: PreTrainedModel,
    examples: Sequence[Example],
    loss_of: Callable[[torch.Tensor, Batch], torch.Tensor],
    settings: TrainingSettings,
    *,
    pad_id: int,
    seed: int,
    name: str,
    num_cut: int = 0,
) -> TrainingReport:
    """Minimise ``loss_of(logits, batch)``; logits are (batch, length, vocabulary), float32.

    Raises:
        ValueError: there are no examples.
    """
    if not examples:
        raise ValueError(f"{name}: there are no examples to train on; materialize its inputs first")
    torch.manual_seed(seed)
    num_steps = max(1, math.ceil(settings.epochs * len(examples) / settings.batch_size))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, num_steps, settings.warmup_share)
    )
    model.train()
    started, losses, num_tokens = time.monotonic(), [], 0
    batches = draw_batches(examples, settings.batch_size, num_steps, pad_id, random.Random(seed))
    progress = tqdm(batches, total=num_steps, desc=name, unit="step", mininterval=0.5)
    for batch in progress:
        on_device = Batch(**{key: value.to(model.device) for key, value in vars(batch).items()})
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
            logits = model(
                input_ids=on_device.ids, attention_mask=on_device.mask, use_cache=False
            ).logits
        loss = loss_of(logits.float(), on_device)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        num_tokens += int(batch.mask.sum())
        progress.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    return TrainingReport(
        num_examples=len(examples),
        num_cut=num_cut,
        num_steps=num_steps,
        num_tokens=num_tokens,
        seconds=time.monotonic() - started,
        losses=losses,
    )
