"""How much faster does a model draw with 8-bit linear layers on a CPU, and what do they change?

    python -m benchmarks.int8_draws [--model FOLDER] [--data test.jsonl] [--json]

``--model`` is a checkpoint folder; without it, the shipped base-large, whose products are too small
to gain. ``--data`` has ``question`` and ``answer`` a line, as GSM8K's files; without it, made word
problems with their solutions. Draws eight rollouts of each question with both precisions in turn,
on one thread, and reads the answers with both: the mean loss, the divergence, and the share of
tokens whose likeliest successor is the same.
"""

import argparse
import random
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import polars as pl
import torch
from transformers import AutoModelForCausalLM

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least
from resources.checkpoints.loading import load_tokenizer, load_weights
from resources.engines.int8_linear import check_int8, use_int8
from resources.engines.transformers import TransformersEngine
from resources.storage.model_store import BASE_MODELS
from shepherd.requests import Request, request_block
from shepherd.word_problems import draw_problems, write_solution

NUM_ROLLOUTS = 8
PRECISIONS = ("float32", "int8")


def run(options: argparse.Namespace) -> list[Result]:
    """Draw and read with both precisions.

    Raises:
        ValueError: this machine computes no 8-bit products, or a file cannot be read.
    """
    check_int8(torch.device("cpu"))
    torch.set_num_threads(1)
    texts = questions_and_answers(options.data, options.problems)
    rates: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(options.turns):
        for precision in PRECISIONS:
            rates[precision].append(draw_rate(options.model, precision, texts, options.tokens))
    float32_rate, int8_rate = (median(rates[precision]) for precision in PRECISIONS)
    ratio = median(fast / slow for slow, fast in zip(*rates.values(), strict=True))
    read = compare_predictions(options.model, texts)
    loss, int8_loss = round(read.loss, 4), round(read.int8_loss, 4)
    return [
        Result("float32: draws", round(float32_rate, 1), "tokens/CPU s"),
        Result("int8: draws", round(int8_rate, 1), "tokens/CPU s", baseline=round(float32_rate, 1)),
        Result("int8 over float32", round(ratio, 2), "times", baseline=1.0),
        Result("int8: loss of the answers", int8_loss, "nats", baseline=loss),
        Result("int8: divergence from float32", round(read.divergence, 4), "nats"),
        at_least("int8: same likeliest token", round(100 * read.same, 1), "%", 95.0),
    ]


def questions_and_answers(data: Path | None, count: int) -> list[tuple[str, str]]:
    """Return questions, each with the newline after which a solution begins, and answers.

    Raises:
        ValueError: the file lacks them.
    """
    if data is None:
        problems, rng = draw_problems(0, "train", count), random.Random(0)
        return [(p.question + "\n", write_solution(p, rng)) for p in problems]
    try:
        lines = pl.read_ndjson(data).head(count).select(pl.col("question") + "\n", "answer")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{data}: needs `question` and `answer` a line ({error})") from error
    return lines.rows()


def draw_rate(model: Path, precision: str, texts: list[tuple[str, str]], tokens: int) -> float:
    """Return tokens a CPU second, prompts included in the time, the loading left out."""
    requests = [
        Request(f"{p}/{k}", question, NUM_ROLLOUTS * p + k, 0.7, tokens, top_p=0.95)
        for p, (question, _) in enumerate(texts)
        for k in range(NUM_ROLLOUTS)
    ]
    engine = TransformersEngine(model, batch_size=len(requests), dtype=precision, device="cpu")
    started = time.process_time()
    engine.add(request_block(requests))
    drawn = 0
    while (block := engine.poll()).height:
        drawn += int(block["num_tokens"].sum())
    seconds = time.process_time() - started
    engine.close()
    return drawn / seconds


class Predictions(NamedTuple):
    """How both precisions predict the tokens of answers."""

    loss: float
    int8_loss: float
    """Nats a token."""
    divergence: float
    """Of int8 from float32 (Kullback-Leibler), nats a token."""
    same: float
    """The share of places at which the likeliest token is the same."""


@torch.inference_mode()
def compare_predictions(model: Path, texts: list[tuple[str, str]]) -> Predictions:
    """Read the answers with both precisions."""
    tokenizer = load_tokenizer(model)
    exact, rounded = (
        load_weights(AutoModelForCausalLM, model, dtype=torch.float32).eval() for _ in PRECISIONS
    )
    use_int8(rounded, model)
    parts = []
    for question, answer in texts:
        start = len(tokenizer(question)["input_ids"])
        ids = torch.tensor(tokenizer(question + answer)["input_ids"])
        expected, found = (
            network(input_ids=ids[None]).logits[0, start - 1 : -1].float().log_softmax(-1)
            for network in (exact, rounded)
        )
        places, following = torch.arange(len(expected)), ids[start:]
        divergence = (expected.exp() * (expected - found)).sum(-1)
        same = (expected.argmax(-1) == found.argmax(-1)).float()
        losses = (-each[places, following] for each in (expected, found))
        parts.append(torch.stack([*losses, divergence, same]))
    return Predictions(*torch.cat(parts, dim=1).mean(1).tolist())


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model and the problems."""
    parser.add_argument("--model", type=Path, default=BASE_MODELS / "base-large", metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="FILE")


BENCHMARK = Benchmark(
    "int8_draws",
    __doc__,
    run,
    sizes=[
        Size("problems", 16, 2, f"questions; each has {NUM_ROLLOUTS} rollouts"),
        Size("tokens", 64, 4, "tokens of a rollout at most"),
        Size("turns", 3, 1, "turns of both precisions"),
    ],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
