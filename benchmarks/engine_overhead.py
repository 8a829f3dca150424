"""Tokens per second through the engine against transformers' own ``generate``, side by side.

64 prompts x 8 rollouts of up to 60 tokens from an untrained model of base-large's shape. The two
run in turn, several times, and the ratio is the median over turns, so that another load on the
machine weighs on both. ``generate`` never stops early here, which spares it idle rows.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.report import Result, at_least, main
from resources.engines.transformers import TransformersEngine
from shepherd.requests import Request
from shepherd.word_problems import draw_problems
from training.pretrain import RECIPES, build_model
from training.tokenizer import build_tokenizer

NUM_PROMPTS = 64
NUM_ROLLOUTS = 8
MAX_TOKENS = 60
TEMPERATURE = 0.7
TURNS = 3


def save_model(folder: Path) -> None:
    """Save an untrained model of the shape of base-large with its tokenizer."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    build_model(RECIPES["base-large"], tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def engine_rate(engine: TransformersEngine, prompts: list[str]) -> float:
    """Return tokens per second over all rollouts of all prompts."""
    requests = [
        Request(f"{p}/{k}", prompt, NUM_ROLLOUTS * p + k, TEMPERATURE, MAX_TOKENS)
        for p, prompt in enumerate(prompts)
        for k in range(NUM_ROLLOUTS)
    ]
    started, tokens = time.perf_counter(), 0
    engine.add(requests)
    while finished := engine.poll():
        tokens += sum(completion.num_tokens for completion in finished)
    return tokens / (time.perf_counter() - started)


def generate_rate(folder: Path) -> Callable[[list[str]], float]:
    """Return the function that measures ``generate`` on the same prompts, in one batch."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)

    def rate(prompts: list[str]) -> float:
        started = time.perf_counter()
        encoded = tokenizer(prompts, return_tensors="pt", padding=True)
        made = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            max_new_tokens=MAX_TOKENS,
            min_new_tokens=MAX_TOKENS,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            num_return_sequences=NUM_ROLLOUTS,
        )
        tokenizer.batch_decode(made[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
        return len(made) * MAX_TOKENS / (time.perf_counter() - started)

    return rate


def run() -> list[Result]:
    """Measure both in turn; the first turn warms up and is dropped."""
    prompts = [problem.question + "\n" for problem in draw_problems(1, "train", NUM_PROMPTS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder)
        engine, generate = TransformersEngine(folder), generate_rate(folder)
        turns = [(engine_rate(engine, prompts), generate(prompts)) for _ in range(1 + TURNS)][1:]
    ratio = median(ours / theirs for ours, theirs in turns)
    ours, theirs = (median(rates) for rates in zip(*turns, strict=True))
    return [
        Result("engine", round(ours), "tokens/s", baseline=round(theirs)),
        at_least("engine over generate", round(ratio, 2), "times", target=3.0, baseline=1.0),
    ]


if __name__ == "__main__":
    main("engine_overhead", run)
