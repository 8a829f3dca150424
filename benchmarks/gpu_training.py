"""Rows of ``python -m benchmarks.gpu`` about training: speed, memory, and the memory formula."""

import gc
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any
from unittest import mock

import polars as pl
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from shepherd.architectures import Architecture
from shepherd.memory import GIB, training_memory
from shepherd.mistakes import write_flawed
from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, judge_steps
from training.optimization import Optimization
from training.prm import train_prm
from training.runs import TrainingRun
from training.tokenizer import build_tokenizer

PEAK = 989e12
"""Dense bfloat16 operations a second of an H100 or H200, by NVIDIA's data sheet."""

WIDTH_OF_7B = Architecture(4096, 8, 32, 32, 11008, vocab_size=32000)
ARCHITECTURES = {
    "1.1B": Architecture(2048, 22, 32, 4, 5632, vocab_size=32000),
    "3.0B": Architecture(3072, 28, 24, 8, 8192, vocab_size=32000),
    "7B's width": WIDTH_OF_7B,
}
"""The dimensions of TinyLlama, of a Llama 3.2 3B with a small vocabulary, and of eight layers of
Llama 2 7B. Weights are random."""

TINY = Architecture(64, 2, 4, 2, 128, vocab_size=256)


@dataclass(frozen=True)
class TrainingRow:
    """One training run to measure."""

    model: str
    length: int
    """Most tokens of a sequence; the shortest has nine tenths of it."""
    sequences: int
    """Sequences of an optimizer step."""
    tokens_per_pass: int
    checkpointing: bool = False

    @property
    def settings(self) -> TrainingSettings:
        """Return the settings of the run."""
        return TrainingSettings(
            epochs=1,
            learning_rate=1e-5,
            batch_size=self.sequences,
            max_length=self.length,
            tokens_per_pass=self.tokens_per_pass,
            gradient_checkpointing=self.checkpointing,
        )


TRAINING_ROWS = {
    "prm-1.1b-512": TrainingRow("1.1B", 512, 32, 16_384),
    "prm-1.1b-165": TrainingRow("1.1B", 170, 96, 16_384),
    "prm-1.1b-two-passes": TrainingRow("1.1B", 512, 64, 16_384),
    "prm-1.1b-checkpointed": TrainingRow("1.1B", 512, 32, 16_384, checkpointing=True),
    "prm-3.0b-512": TrainingRow("3.0B", 512, 32, 8_192),
    "prm-3.0b-165": TrainingRow("3.0B", 170, 96, 8_192),
    "prm-3.0b-checkpointed": TrainingRow("3.0B", 512, 32, 8_192, checkpointing=True),
    "prm-7b-width": TrainingRow("7B's width", 512, 32, 8_192),
    "prm-7b-width-checkpointed": TrainingRow("7B's width", 512, 32, 8_192, checkpointing=True),
}


def save_random_model(architecture: Architecture, folder: Path) -> Path:
    """Save a Llama with random weights in bfloat16, unless ``folder`` exists; return ``folder``."""
    if folder.is_dir():
        return folder
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    config = LlamaConfig(
        **asdict(architecture),
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def long_solutions(count: int, max_tokens: int) -> pl.DataFrame:
    """Return (question, steps, labels) whose sequences have 9/10 of ``max_tokens`` to all of them.

    The steps are those of flawed solutions of several word problems in a row.
    """
    rng, tokenizer = random.Random(0), build_tokenizer()
    problems = list(draw_problems(0, "train", 64))
    pool = []
    for problem in problems:
        steps, _ = write_flawed(problem, rng, error_rate=0.2)
        judged = judge_steps(problem.question, steps)
        pool += [
            (step, float(right), len(tokenizer.encode(step, add_special_tokens=False)) + 1)
            for step, right in zip(steps, judged, strict=True)
        ]
    rows = []
    for _ in range(count):
        question = rng.choice(problems).question
        num_tokens = len(tokenizer.encode(question)) + 2
        wanted = rng.uniform(0.9, 1.0) * max_tokens
        steps, labels = [], []
        while num_tokens + (step := rng.choice(pool))[2] <= wanted:
            steps.append(step[0])
            labels.append(step[1])
            num_tokens += step[2]
        rows.append((question, steps, labels))
    return pl.DataFrame(rows, schema=["question", "steps", "labels"], orient="row")


@contextmanager
def timed_steps() -> Iterator[list[float]]:
    """Collect the moment at which each optimizer step is asked for, in seconds.

    A step may be asked for before a GPU has finished the one before, at most one step early.
    """
    moments: list[float] = []
    step = Optimization.step

    def timed(*args: Any) -> object:  # passed on as they came
        moments.append(time.perf_counter())
        return step(*args)

    with mock.patch.object(Optimization, "step", timed):
        yield moments


def measure_training(
    row: TrainingRow, num_steps: int, folder: Path, *, tiny: bool
) -> dict[str, object]:
    """Train, and return speed without start-up, memory, and the formula's memory.

    The first three steps are start-up: compilation and the first allocations.

    Args:
        row: what to train.
        num_steps: optimizer steps, at least 5.
        folder: where models are saved.
        tiny: replace the model by one that a CPU trains in a moment.
    """
    architecture = TINY if tiny else ARCHITECTURES[row.model]
    if tiny:
        row = replace(row, length=90, sequences=3, tokens_per_pass=180)
    name = "tiny" if tiny else row.model.replace(" ", "-")
    base = save_random_model(architecture, folder / name)
    examples = long_solutions(num_steps * row.sequences, row.length)
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.compiler.reset()
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    with timed_steps() as moments:
        report = train_prm(TrainingRun(base, examples, folder / "prm", row.settings, seed=0))
    seconds = [after - before for before, after in pairwise(moments[3:])]
    tokens = report.num_tokens / report.num_steps
    rate = tokens / mean(seconds)
    result = {
        "model": row.model,
        "parameters": architecture.num_parameters,
        "length": row.length,
        "tokens_per_step": round(tokens),
        "tokens_per_pass": row.tokens_per_pass,
        "checkpointing": row.checkpointing,
        "steps": report.num_steps,
        "tokens_per_s": round(rate),
        "median_tokens_per_s": round(tokens / median(seconds)),
        "share_of_989_tflops": round(rate * 6 * architecture.num_parameters / PEAK, 4),
        "share_without_embeddings": round(rate * _operations(architecture, row.length) / PEAK, 4),
        "start_up_s": round(moments[3] - started, 1),
        "first_loss": round(report.losses[0], 4),
        "last_loss": round(report.losses[-1], 4),
    }
    return result | (_memory(architecture, row.settings) if on_gpu else {})


def _operations(architecture: Architecture, length: int) -> float:
    """Return the operations of a token that training needs: layers and causal attention."""
    layers, hidden = architecture.num_hidden_layers, architecture.hidden_size
    return layers * (6 * architecture.layer_parameters + 6 * length * hidden)


def _memory(architecture: Architecture, settings: TrainingSettings) -> dict[str, object]:
    """Return the peak of this process and what the formula says, in GiB."""
    peak = torch.cuda.max_memory_allocated()
    formula = training_memory(architecture, settings, predicts_text=False).tensors
    free, total = torch.cuda.mem_get_info()
    return {
        "peak_gib": round(peak / GIB, 2),
        "formula_gib": round(formula / GIB, 2),
        "formula_over_peak": round(formula / peak, 3),
        "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 2),
        "outside_pytorch_gib": round((total - free - torch.cuda.memory_reserved()) / GIB, 2),
    }
