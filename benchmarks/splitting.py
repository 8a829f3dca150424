"""Into how many steps are real solutions split, and which steps say nothing?

    python -m benchmarks.splitting [--json] [--file SOLUTIONS.jsonl]

Splits OpenAI's 5,276 GPT-3 solutions of GSM8K and 800 Qwen2.5-Math solutions of MATH with every
method. The files are in the folder ``SHEPHERD_SHARED_DATA``, else ``../shared/data``.
"""

import argparse
import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from benchmarks.requirements import shared_file
from shepherd.splitting import Anomaly, Method, anomalies, split_steps
from shepherd.splitting.lines import says_nothing

FILES = {
    "GPT-3 on GSM8K": "gsm8k_test_openai_gpt3.jsonl.gz",
    "Qwen2.5-Math on MATH": "math_qwen25math_100x8.jsonl.gz",
}
PERCENTILES = (10, 50, 90, 95, 100)


def run(options: argparse.Namespace) -> list[Result]:
    """Split with every method; count anomalies for the default one."""
    files = {label: shared_file("model_outputs", name) for label, name in FILES.items()}
    if options.file is not None:
        files[options.file.name] = options.file
    results = []
    for label, path in files.items():
        texts = responses(path, options.solutions)
        results.append(Result(f"{label}: solutions", len(texts), "solutions"))
        for method in get_args(Method):
            results += measure(f"{label}, {method}", texts, method)
    return results


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
