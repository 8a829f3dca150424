"""Tokens a second that a PRM is trained on: ours against TRL's PRMTrainer.

    python -m benchmarks.training_speed [--json] [--solutions 320] [--rounds 4]

Both train base-large on the same solutions, of word problems and of GSM8K (the shared data folder:
``SHEPHERD_SHARED_DATA``, else ``../shared/data``), in batches of 32 as they
come, in float32 on one CPU thread, in this process and one after the other, the order turning
every round (``pip install trl==1.13.0`` with the constraints of this project). TRL's defaults for
GPUs (bfloat16, gradient checkpointing) are off. Tokens are those of the solutions, without
padding; seconds are CPU seconds, which a busy machine changes least. Each round trains on a few
solutions and on many, and the difference counts: what it takes to start and to save does not.
Values are medians over rounds.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import torch
from transformers import AutoTokenizer

from benchmarks.report import Result, at_least, main
from resources.storage.model_store import BASE_MODELS
from shepherd.mistakes import write_flawed
from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, judge_steps
from training.prm import train_prm
from training.runs import TrainingRun
from training.step_tags import TAG_TEXT

BASE = BASE_MODELS / "base-large"
SETTINGS = TrainingSettings(epochs=1, learning_rate=2e-4, batch_size=32, max_length=512)
FEW = 64
TIMES = 1.5
"""How many times TRL's speed we aim at."""

Trainer = Callable[[pl.DataFrame, Path], int]


def gsm8k(count: int) -> pl.DataFrame:
    """Return (question, steps, labels) of GSM8K's gold solutions; nothing is wrong with a step."""
    shared = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))
    lines = pl.read_ndjson(shared / "gsm8k" / "train.jsonl").head(count)
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
    """Train with ours; return the tokens of one epoch."""
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


def rate(trainer: Trainer, examples: pl.DataFrame, folder: Path) -> float:
    """Return tokens a CPU second, of what is trained on beyond the first FEW solutions."""
    found = []
    for part in (examples.head(FEW), examples):
        started = time.process_time()
        tokens = trainer(part, folder)
        found.append((tokens, time.process_time() - started))
    (few, overhead), (many, seconds) = found
    return (many - few) / (seconds - overhead)


def measure(count: int, rounds: int) -> list[Result]:
    """Run both in turn on both kinds of solutions; each first once on a few, to be warm."""
    torch.set_num_threads(1)
    trainers: list[Trainer] = [ours, trl]
    results = [Result("solutions", count, f"trained on in each of {rounds} rounds")]
    for name, examples in (
        ("word problems", word_problems(FEW + count)),
        ("GSM8K", gsm8k(FEW + count)),
    ):
        rates: dict[str, list[float]] = {"ours": [], "trl": []}
        with tempfile.TemporaryDirectory() as temporary:
            for trainer in trainers:
                trainer(examples.head(FEW), Path(temporary))
            for number in range(rounds):
                for trainer in trainers if number % 2 == 0 else reversed(trainers):
                    rates[trainer.__name__].append(rate(trainer, examples, Path(temporary)))
        ratios = [own / peer for own, peer in zip(rates["ours"], rates["trl"], strict=True)]
        own, peer = (statistics.median(rates[trainer]) for trainer in ("ours", "trl"))
        unit, ratio = "tokens/CPU second", statistics.median(ratios)
        results += [
            Result(f"{name}: padded tokens a token", padding(examples), "times"),
            Result(f"{name}: ours", own, unit, baseline=peer),
            at_least(f"{name}: ours against TRL", ratio, "times", TIMES),
            Result(f"{name}: ours against TRL, worst round", min(ratios), "times"),
        ]
    return results


def padding(examples: pl.DataFrame) -> float:
    """Return how many tokens batches hold in the order of the rows, by tokens that are not padding.

    What training without padding can gain, if a token costs the same.
    """
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    texts = examples.select("question", pl.col("steps").list.join("\n"))
    lengths = [len(tokenizer.encode(f"{question}\n{text}")) for question, text in texts.iter_rows()]
    size = SETTINGS.batch_size
    batches = [lengths[first : first + size] for first in range(0, len(lengths), size)]
    return sum(max(batch) * len(batch) for batch in batches) / sum(lengths)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--solutions", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    if find_spec("trl") is None:
        parser.error("trl is not installed: pip install trl==1.13.0 -c constraints.txt")
    main("training_speed", lambda: measure(arguments.solutions, arguments.rounds))
