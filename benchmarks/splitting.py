"""How do real solutions fall into steps, and what is unusual about them?

    python -m benchmarks.splitting [--json]

Splits OpenAI's 5,276 GPT-3 solutions of GSM8K and 800 Qwen2.5-Math solutions of MATH, under the
folder that SHEPHERD_SHARED_DATA names, with every method.
"""

import gzip
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.report import Result, at_most, main
from shepherd.splitting import Anomaly, Method, anomalies, split_steps

OUTPUTS = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data")) / "model_outputs"
FILES = {
    "GPT-3 on GSM8K": "gsm8k_test_openai_gpt3.jsonl.gz",
    "Qwen2.5-Math on MATH": "math_qwen25math_100x8.jsonl.gz",
}


def responses(name: str) -> list[str]:
    """Return the published solutions of a file."""
    with gzip.open(OUTPUTS / name, "rt", encoding="utf-8") as file:
        return [json.loads(line)["response"] for line in file]


def run() -> list[Result]:
    """Split with every method; count anomalies for the default one."""
    results = []
    for label, name in FILES.items():
        texts = responses(name)
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


if __name__ == "__main__":
    main("splitting", run)
