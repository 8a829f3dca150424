r"""A small judge of word problems, where no language model that judges can be had.

    python -m training.judge --base resources/base_models/base-large --out models/judge

It reads the very task that any judge is given (:func:`shepherd.annotators.judge.critique_task`)
and answers in its format: a verdict on each paragraph up to the first wrong one, then the box.
It learns that from flawed solutions of the train split, which it has the oracle's word on. Its
tokenizer takes the fixed sentences of the task, its tags and its boxes for one token each: the
base's vocabulary holds no other English than that of word problems.
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
from training import loop
from training.sft import train_sft
from training.tokenizer import CHECK, RIGHT, WRONG

TEMPLATE = "{question}\n"
SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=32, max_length=256)
NUM_CRITIQUES = 20_000
"""What `benchmarks.label_quality` was measured with."""
MAX_STEPS = 12
"""Paragraphs that the tokenizer has tags for."""


def critique(verdicts: list[bool]) -> str:
    r"""Return what a judge writes: a word on each paragraph up to the first wrong one, the box."""
    first = verdicts.index(False) if False in verdicts else NO_ERROR
    seen = verdicts if first == NO_ERROR else verdicts[: first + 1]
    words = (f"<paragraph_{i}>{RIGHT if right else WRONG}\n" for i, right in enumerate(seen))
    return "".join(words) + rf"\boxed{{{first}}}"


def draw_critiques(num_critiques: int, seed: int, split: str = "train") -> pl.DataFrame:
    """Return (question, solution): the task of judging a flawed solution, and its critique."""
    rng = random.Random(seed)
    rows = []
    for problem in draw_problems(rng.randrange(2**31), split, num_critiques):
        written, _ = write_flawed(problem, rng, error_rate=rng.choice((0.0, 0.15, 0.3)))
        steps = split_steps("".join(written))[:MAX_STEPS]
        verdicts = judge_steps(problem.question, steps)
        rows.append((critique_task(problem.question, steps), critique(verdicts)))
    return pl.DataFrame(rows, schema=["question", "solution"], orient="row")


def widen(base: str | Path, out: Path) -> None:
    r"""Save ``base`` to ``out`` with tokens for the words of the task and of its answers.

    What closes a paragraph starts as a copy of the "?" after which the base gives its verdict
    on a step, all others as copies of the newline.
    """
    model, tokenizer = loop.load(base)
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
    loop.save(model, tokenizer, out)


def train_judge(
    base: str | Path, critiques: pl.DataFrame, out: Path, settings: TrainingSettings, *, seed: int
) -> loop.TrainingReport:
    """Train on (question, solution) rows of :func:`draw_critiques` and save a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        widen(base, Path(folder))
        return train_sft(folder, critiques, out, settings, template=TEMPLATE, seed=seed)


def main() -> None:
    """Draw critiques, train, save a checkpoint and print what was done."""
    parser = argparse.ArgumentParser(
        prog="python -m training.judge", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--base", required=True, help="a folder of resources/base_models")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--num-critiques", type=int, default=NUM_CRITIQUES)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    critiques = draw_critiques(args.num_critiques, args.seed)
    report = train_judge(args.base, critiques, args.out, SETTINGS, seed=args.seed)
    print(
        f"{report.num_steps} steps on {report.num_examples:,} critiques in {report.seconds:.0f} s; "
        f"loss {report.losses[0]:.3f} -> {report.losses[-1]:.3f}; saved to {args.out}"
    )


if __name__ == "__main__":
    main()
