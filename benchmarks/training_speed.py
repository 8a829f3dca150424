"""On how many tokens a second is a PRM trained, next to TRL's PRMTrainer?

    python -m benchmarks.training_speed [--json] [--solutions 320] [--rounds 4]

Both train base-large on the same solutions, of word problems and of GSM8K (folder
``SHEPHERD_SHARED_DATA``, else ``../shared/data``): batches of 32 in the order of the rows, float32,
one CPU thread, in this process. They take turns, and each round swaps their order. TRL's defaults
for GPUs (bfloat16, gradient checkpointing) are off.

Tokens do not include padding. Seconds are CPU seconds, which a busy machine changes least. Each
round trains on a few solutions and on many. The difference counts, so that the time to start and
to save does not. Values are medians over rounds.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import torch
from transformers import AutoTokenizer

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least
from benchmarks.requirements import require_package, shared_file
from resources.storage.model_store import BASE_MODELS
from shepherd.mistakes import write_flawed
from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, judge_steps
from training.prm import train_prm
from training.runs import TrainingRun
from training.step_tags import TAG_TEXT

BASE = BASE_MODELS / "base-large"
SETTINGS = TrainingSettings(epochs=1, learning_rate=2e-4, batch_size=32, max_length=512)
MIN_RATIO = 1.5
"""The target: tokens a CPU second as a multiple of TRL's."""

Trainer = Callable[[pl.DataFrame, Path], int]


def gsm8k(count: int) -> pl.DataFrame:
    """Return (question, steps, labels) of GSM8K's gold solutions; every label is 1."""
    lines = pl.read_ndjson(shared_file("gsm8k", "train.jsonl")).head(count)
    steps = pl.col("answer").str.split("\n")
    labels = steps.list.eval(pl.lit(1.0))
    return lines.select("question", steps=steps, labels=labels)


def word_problems(count: int) -> pl.DataFrame:
    """Return (question, steps, labels) of flawed solutions of word problems."""
    rng = random.Random(0)
    rows = []
    for problem in draw_problems(0, "train", count):
        steps, _ = write_flawed(problem, rng, error_rate=0.2)
        labels = [float(right) for right in judge_steps(problem.question, steps)]
        rows.append((problem.question, steps, labels))
    return pl.DataFrame(rows, schema=["question", "steps", "labels"], orient="row")


def ours(examples: pl.DataFrame, folder: Path) -> int:
    """Train with this project; return the tokens of one epoch."""
    report = train_prm(TrainingRun(BASE, examples, folder / "prm", SETTINGS, seed=0))
    return report.num_tokens


def trl(examples: pl.DataFrame, folder: Path) -> int:
    """Train with TRL's PRMTrainer; return the tokens of one epoch."""
    from datasets import Dataset
    from transformers import AutoModelForTokenClassification
    from trl.experimental.prm import PRMConfig, PRMTrainer

    dataset = Dataset.from_list(
        [
            {
                "prompt": f"{row['question']}\n",
                "completions": [step.rstrip() for step in row["steps"]],
                "labels": [label > 0.5 for label in row["labels"]],
            }
            for row in examples.to_dicts()
        ]
    )
    trainer = PRMTrainer(
        model=AutoModelForTokenClassification.from_pretrained(
            BASE, num_labels=2, dtype=torch.float32
        ),
        processing_class=AutoTokenizer.from_pretrained(BASE),
        train_dataset=dataset,
        args=PRMConfig(
            output_dir=str(folder / "trl"),
            step_separator=f"{TAG_TEXT}\n",
            max_length=SETTINGS.max_length,
            num_train_epochs=1,
            per_device_train_batch_size=SETTINGS.batch_size,
            learning_rate=SETTINGS.learning_rate,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        ),
    )
    trainer.train()
    return sum(map(len, trainer.train_dataset["input_ids"]))


def rate(trainer: Trainer, examples: pl.DataFrame, num_short: int, folder: Path) -> float:
    """Return tokens a CPU second on the solutions after the first ``num_short``."""
    runs = []
    for part in (examples.head(num_short), examples):
        started = time.process_time()
        tokens = trainer(part, folder)
        runs.append((tokens, time.process_time() - started))
    (few, overhead), (many, seconds) = runs
    return (many - few) / (seconds - overhead)


def run(options: argparse.Namespace) -> list[Result]:
    """Measure both on both kinds of solutions.

    Raises:
        ValueError: TRL is not installed, or GSM8K is not there.
    """
    require_package("trl", "pip install trl==1.13.0 --constraint constraints.txt")
    torch.set_num_threads(1)
    count = options.short + options.solutions
    data = {"word problems": word_problems(count), "GSM8K": gsm8k(count)}
    unit = f"trained on in each of {options.rounds} rounds"
    return [
        Result("solutions", options.solutions, unit),
        *(result for name, examples in data.items() for result in compare(name, examples, options)),
    ]


def compare(name: str, examples: pl.DataFrame, options: argparse.Namespace) -> list[Result]:
    """Train both in turns, after a short training each to warm up."""
    trainers: list[Trainer] = [ours, trl]
    for trainer in trainers:
        trainer(examples.head(options.short), options.folder)
    rates: dict[Trainer, list[float]] = {ours: [], trl: []}
    for number in range(options.rounds):
        for trainer in trainers if number % 2 == 0 else reversed(trainers):
            rates[trainer].append(rate(trainer, examples, options.short, options.folder))
    ratios = [own / peer for own, peer in zip(rates[ours], rates[trl], strict=True)]
    own, peer = (statistics.median(rates[trainer]) for trainer in trainers)
    ratio = statistics.median(ratios)
    return [
        Result(f"{name}: padded tokens a token", padding(examples), "times"),
        Result(f"{name}: ours", own, "tokens/CPU second", baseline=peer),
        at_least(f"{name}: ours against TRL", ratio, "times", MIN_RATIO),
        Result(f"{name}: ours against TRL, worst round", min(ratios), "times"),
    ]


def padding(examples: pl.DataFrame) -> float:
    """Return the tokens of padded batches, in the order of the rows, per token without padding.

    Training without padding can be this many times faster if every token costs the same.
    """
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    texts = examples.select("question", pl.col("steps").list.join("\n"))
    lengths = [len(tokenizer.encode(f"{question}\n{text}")) for question, text in texts.iter_rows()]
    size = SETTINGS.batch_size
    batches = [lengths[first : first + size] for first in range(0, len(lengths), size)]
    return sum(max(batch) * len(batch) for batch in batches) / sum(lengths)


BENCHMARK = Benchmark(
    "training_speed",
    __doc__,
    run,
    sizes=[
        Size("solutions", 320, 8, "solutions of the long training, beyond those of the short one"),
        Size("short", 64, 2, "solutions of the short training, whose time is subtracted"),
        Size("rounds", 4, 1, "rounds; values are medians over them"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
