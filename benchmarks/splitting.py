"""Into how many steps are real solutions split, and which steps say nothing?

    python -m benchmarks.splitting [--json] [--file SOLUTIONS.jsonl]

Splits OpenAI's 5,276 GPT-3 solutions of GSM8K and 800 Qwen2.5-Math solutions of MATH with every
method. The files are in the folder ``SHEPHERD_SHARED_DATA``, else ``../shared/data``. Thoughts of
reasoning models, of about 32,000 tokens each, are written to their grammar.
"""

import argparse
import gzip
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from benchmarks.requirements import shared_file
from shepherd.answers import extract_answer
from shepherd.splitting import (
    MAX_SECTIONS,
    REASONING,
    Anomaly,
    Method,
    MethodName,
    anomalies,
    split_steps,
)
from shepherd.splitting.lines import says_nothing

FILES = {
    "GPT-3 on GSM8K": "gsm8k_test_openai_gpt3.jsonl.gz",
    "Qwen2.5-Math on MATH": "math_qwen25math_100x8.jsonl.gz",
}
PERCENTILES = (10, 50, 90, 95, 100)
NUM_THOUGHTS = 20
THOUGHT_LENGTH = 128_000
SHARE_OF_TURNS = 0.3
TURNS = ("Wait, ", "But ", "Hmm, ", "Alternatively, ", "Let me double-check: ")


def run(options: argparse.Namespace) -> list[Result]:
    """Split with every method; count anomalies for the default one."""
    files = {label: shared_file("model_outputs", name) for label, name in FILES.items()}
    if options.file is not None:
        files[options.file.name] = options.file
    results = []
    for label, path in files.items():
        texts = responses(path, options.solutions)
        results.append(Result(f"{label}: solutions", len(texts), "solutions"))
        for method in get_args(MethodName):
            results += measure(f"{label}, {method}", texts, method)
    thoughts = [long_thought(seed) for seed in range(min(options.solutions, NUM_THOUGHTS))]
    return [*results, *measure_thoughts("thoughts of 32K tokens, reasoning", thoughts)]


def long_thought(seed: int) -> str:
    """Return a thought of about 128,000 characters (32,000 tokens) and its summary."""
    rng = random.Random(seed)
    paragraphs: list[str] = []
    length = 0
    while length < THOUGHT_LENGTH:
        first, second = rng.randrange(100), rng.randrange(100)
        turn = rng.choice(TURNS) if rng.random() < SHARE_OF_TURNS else ""
        claim = (
            f"{turn}adding {first} and {second} gives ${first} + {second} = {first + second}$.\n"
        )
        paragraphs.append(claim * rng.randint(1, 4) + "\n")
        length += len(paragraphs[-1])
    return f"<think>\n{''.join(paragraphs)}</think>\n\nStep 1: 2 + 2 = 4.\nThe answer is: 4"


def measure_thoughts(label: str, texts: list[str]) -> Iterator[Result]:
    """Yield steps, CPU seconds and memory of cutting thoughts and reading answers."""
    start = time.process_time()
    split = [split_steps(text, REASONING) for text in texts]
    cutting = (time.process_time() - start) / len(texts)
    start = time.process_time()
    answers = [extract_answer(text) for text in texts]
    reading = (time.process_time() - start) / len(texts)
    tracemalloc.start()
    split_steps(texts[0], REASONING)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    changed = sum("".join(s) != text for s, text in zip(split, texts, strict=True))
    wrong = sum(answer != "4" for answer in answers)
    yield at_most(f"{label}: thoughts changed", changed, "thoughts", 0)
    yield at_most(f"{label}: answers read wrong", wrong, "thoughts", 0)
    yield at_most(f"{label}: steps, most", max(map(len, split)), "steps", MAX_SECTIONS + 1)
    yield Result(f"{label}: characters, mean", sum(map(len, texts)) / len(texts), "characters")
    yield Result(f"{label}: cutting", 1e3 * cutting, "ms a thought")
    yield Result(f"{label}: reading the answer", 1e3 * reading, "ms a thought")
    yield Result(f"{label}: memory of cutting", peak / 2**20, "MiB")


def responses(path: Path, count: int) -> list[str]:
    """Return the first solutions of a JSONL file, compressed or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["response"] for line in islice(file, count)]


def measure(label: str, texts: list[str], method: Method) -> Iterator[Result]:
    """Yield the distribution of steps a solution, the steps that say nothing, and the rate."""
    start = time.perf_counter()
    split = [split_steps(text, method) for text in texts]
    seconds = time.perf_counter() - start
    counts = np.array([len(steps) for steps in split])
    changed = sum("".join(s) != text for s, text in zip(split, texts, strict=True))
    empty = sum(says_nothing(step) for steps in split for step in steps)
    yield at_most(f"{label}: solutions changed", changed, "solutions", 0)
    yield Result(f"{label}: steps, mean", float(counts.mean()), "steps")
    for share in PERCENTILES:
        yield Result(f"{label}: steps, {share} %", float(np.percentile(counts, share)), "steps")
    yield Result(f"{label}: steps that say nothing", empty, f"of {counts.sum()}")
    yield Result(f"{label}: rate", len(texts) / seconds, "solutions/s")
    if method == "auto":
        names = Counter(name for steps in split for name in anomalies(steps))
        for anomaly in get_args(Anomaly):
            yield Result(f"{label}: {anomaly}", names[anomaly], "solutions")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the option of a file of one's own."""
    parser.add_argument(
        "--file", type=Path, help="JSONL file with a field `response` to split as well"
    )


BENCHMARK = Benchmark(
    "splitting",
    __doc__,
    run,
    sizes=[Size("solutions", 5_276, 50, "solutions of each file, at most")],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
