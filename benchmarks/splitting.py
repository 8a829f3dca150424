"""Into how many steps are real solutions split, and which steps are unusual?

    python -m benchmarks.splitting [--json]

Splits OpenAI's 5,276 GPT-3 solutions of GSM8K and 800 Qwen2.5-Math solutions of MATH with every
method. The files are in the folder ``SHEPHERD_SHARED_DATA``, else ``../shared/data``.
"""

import argparse
import gzip
import json
import sys
import time
from collections import Counter
from itertools import islice
from typing import get_args

import numpy as np

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from benchmarks.requirements import shared_file
from shepherd.splitting import Anomaly, Method, anomalies, split_steps

FILES = {
    "GPT-3 on GSM8K": "gsm8k_test_openai_gpt3.jsonl.gz",
    "Qwen2.5-Math on MATH": "math_qwen25math_100x8.jsonl.gz",
}


def responses(name: str, count: int) -> list[str]:
    """Return the first published solutions of a file."""
    with gzip.open(shared_file("model_outputs", name), "rt", encoding="utf-8") as file:
        return [json.loads(line)["response"] for line in islice(file, count)]


def run(options: argparse.Namespace) -> list[Result]:
    """Split with every method; count anomalies for the default one."""
    results = []
    for label, name in FILES.items():
        texts = responses(name, options.solutions)
        results.append(Result(f"{label}: solutions", len(texts), "solutions"))
        for method in get_args(Method):
            start = time.perf_counter()
            split = [split_steps(text, method) for text in texts]
            seconds = time.perf_counter() - start
            counts = np.array([len(steps) for steps in split])
            changed = sum("".join(s) != text for s, text in zip(split, texts, strict=True))
            results += [
                at_most(f"{label}, {method}: solutions changed", changed, "solutions", 0),
                Result(f"{label}, {method}: steps, mean", float(counts.mean()), "steps"),
                *(
                    Result(f"{label}, {method}: steps, {share} %", value, "steps")
                    for share in (10, 50, 90, 100)
                    for value in [float(np.percentile(counts, share))]
                ),
                Result(f"{label}, {method}: rate", len(texts) / seconds, "solutions/s"),
            ]
            if method == "auto":
                found = Counter(one for steps in split for one in anomalies(steps))
                results += [
                    Result(f"{label}, {method}: {anomaly}", found[anomaly], "solutions")
                    for anomaly in get_args(Anomaly)
                ]
    return results


BENCHMARK = Benchmark(
    "splitting",
    __doc__,
    run,
    sizes=[Size("solutions", 5_276, 50, "solutions of each file, at most")],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
