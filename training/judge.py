r"""Train a small judge of word problems, for machines without a language model that can judge.

    python -m training.judge --base resources/base_models/base-large --out models/judge

The judge reads the task that every judge reads (:func:`shepherd.annotators.judge.critique_task`)
and answers in the same format: a verdict on each paragraph up to the first wrong one, then the
box. It learns from flawed solutions of train problems, whose first wrong step the oracle knows.
The base's vocabulary holds only the English of word problems, so the tokenizer gets one token for
each fixed sentence of the task, each paragraph tag and each box.
"""

import argparse
import random
import tempfile
from pathlib import Path

import polars as pl
import torch
from transformers import AddedToken

from shepherd.annotators.judge import NO_ERROR, critique_task
from shepherd.mistakes import write_flawed
from shepherd.settings import TrainingSettings
from shepherd.splitting import split_steps
from shepherd.word_problems import draw_problems, judge_steps
from training.command_line import train_on_draws
from training.model_files import load_model, save_model
from training.runs import TrainingReport, TrainingRun
from training.sft import train_sft
from training.tokenizer import CHECK, RIGHT, WRONG

TEMPLATE = "{question}\n"
SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=32, max_length=256)
NUM_CRITIQUES = 20_000
"""The number that `benchmarks.label_quality` trains on."""
MAX_STEPS = 12
"""Paragraphs that the tokenizer has tags for; later steps are left out."""


def critique(verdicts: list[bool]) -> str:
    """Return a critique: a verdict on each paragraph up to the first wrong one, then the box."""
    first_error = verdicts.index(False) if False in verdicts else NO_ERROR
    judged = verdicts if first_error == NO_ERROR else verdicts[: first_error + 1]
    lines = (f"<paragraph_{i}>{RIGHT if right else WRONG}\n" for i, right in enumerate(judged))
    return "".join(lines) + rf"\boxed{{{first_error}}}"


def draw_critiques(num_critiques: int, seed: int, split: str = "train") -> pl.DataFrame:
    """Return rows of (question, solution): the task for a flawed solution, and its critique."""
    rng = random.Random(seed)
    rows = []
    for problem in draw_problems(rng.randrange(2**31), split, num_critiques):
        written, _ = write_flawed(problem, rng, error_rate=rng.choice((0.0, 0.15, 0.3)))
        steps = split_steps("".join(written))[:MAX_STEPS]
        verdicts = judge_steps(problem.question, steps)
        rows.append((critique_task(problem.question, steps), critique(verdicts)))
    return pl.DataFrame(rows, schema=["question", "solution"], orient="row")


def add_task_tokens(base: str | Path, out: Path) -> None:
    """Save ``base`` to ``out`` with tokens for the sentences of the task and of its answers.

    The end of a paragraph starts as a copy of "?", after which the base gives its verdict on a
    step. All other tokens start as copies of the newline.
    """
    model, tokenizer = load_model(base)
    head, between, tail = critique_task("\0", ["\0"]).split("\0")
    opening, closing = "<paragraph_0>\n", "\n</paragraph_0>\n\n"
    closings = [closing.replace("0", str(index)) for index in range(MAX_STEPS)]
    pieces = [
        head,
        between.removesuffix(opening),
        tail.removeprefix(closing),
        *(opening.replace("0", str(index)) for index in range(MAX_STEPS)),
        *(f"<paragraph_{index}>" for index in range(MAX_STEPS)),
        *(rf"\boxed{{{index}}}" for index in range(NO_ERROR, MAX_STEPS)),
    ]
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in [*pieces, *closings]])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    check, newline, *added = tokenizer.convert_tokens_to_ids([CHECK, "\n", *closings, *pieces])
    with torch.no_grad():
        weights = model.get_input_embeddings().weight
        weights[added[: len(closings)]] = weights[check].clone()
        weights[added[len(closings) :]] = weights[newline].clone()
    save_model(model, tokenizer, out)


def train_judge(
    base: str | Path, critiques: pl.DataFrame, out: Path, settings: TrainingSettings, *, seed: int
) -> TrainingReport:
    """Train on (question, solution) rows of :func:`draw_critiques` and save a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        add_task_tokens(base, Path(folder))
        return train_sft(
            TrainingRun(folder, critiques, out, settings, template=TEMPLATE, seed=seed)
        )


def main() -> None:
    """Draw critiques, train, save a checkpoint and print a summary."""

    def train_drawn(args: argparse.Namespace) -> TrainingReport:
        critiques = draw_critiques(args.num_examples, args.seed)
        return train_judge(args.base, critiques, args.out, SETTINGS, seed=args.seed)

    train_on_draws(
        "python -m training.judge",
        (__doc__ or "").split("\n\n")[0],
        train_drawn,
        count_flag="--num-critiques",
        default_count=NUM_CRITIQUES,
        rows="critiques",
    )


if __name__ == "__main__":
    main()
