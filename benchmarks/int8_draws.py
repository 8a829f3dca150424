"""How much faster does a model draw with 8-bit linear layers on a CPU, and what do they change?

    python -m benchmarks.int8_draws [--model FOLDER] [--data test.jsonl] [--json]

``--model`` is a checkpoint folder; without it, the shipped base-large, whose products are too small
to gain. ``--data`` has ``question`` and ``answer`` a line, as GSM8K's files; without it, made word
problems with their solutions. Draws eight rollouts of each question with both precisions in turn,
on one thread, and reads the answers with both: the share of tokens whose likeliest successor is the
same, and the mean loss.
"""

import argparse
import random
import sys
import time
from pathlib import Path
from statistics import median

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
    loss, int8_loss, same = compare_predictions(options.model, texts)
    return [
        Result("float32: draws", round(float32_rate, 1), "tokens/CPU s"),
        Result("int8: draws", round(int8_rate, 1), "tokens/CPU s", baseline=round(float32_rate, 1)),
        Result("int8 over float32", round(ratio, 2), "times", baseline=1.0),
        Result("int8: loss of the answers", round(int8_loss, 4), "nats", baseline=round(loss, 4)),
        at_least("int8: same likeliest token", round(100 * same, 1), "%", 95.0),
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


@torch.inference_mode()
def compare_predictions(model: Path, texts: list[tuple[str, str]]) -> tuple[float, float, float]:
    """Return the mean loss of the answers with both precisions, and how often both agree.

    They agree where the likeliest token is the same; losses are nats a token.
    """
    tokenizer = load_tokenizer(model)
    network = load_weights(AutoModelForCausalLM, model, dtype=torch.float32).eval()
    pairs = []
    for question, answer in texts:
        start = len(tokenizer(question)["input_ids"])
        pairs.append((start, torch.tensor(tokenizer(question + answer)["input_ids"])))

    def logits_of(start: int, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(input_ids=ids[None]).logits[0, start - 1 : -1].float()
        return logits

    losses: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    likeliest: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for number, precision in enumerate(PRECISIONS):
        if precision == "int8":  # in place, so float32 comes first
            use_int8(network, model)
        for start, ids in pairs:
            logits = logits_of(start, ids)
            losses[number].append(
                torch.nn.functional.cross_entropy(logits, ids[start:], reduction="none")
            )
            likeliest[number].append(logits.argmax(-1))
    loss, int8_loss = (float(torch.cat(each).mean()) for each in losses)
    same = torch.cat(likeliest[0]) == torch.cat(likeliest[1])
    return loss, int8_loss, float(same.float().mean())


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
