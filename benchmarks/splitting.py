"""Splitting: steps a solution, anomalies and steps that say nothing, on real model outputs.

``python -m benchmarks.splitting [--json]`` splits OpenAI's 5,276 GPT-3 solutions of GSM8K and 800
Qwen2.5-Math solutions of MATH, under the folder that ``SHEPHERD_SHARED_DATA`` names (else
``../shared/data``), with every method. ``SHEPHERD_SOLUTIONS`` may name a JSONL file with a field
``response`` to split as well, such as solutions that a small model has drawn. ``run(most)``
splits the first ``most`` solutions of each file.
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
from shepherd.splitting.lines import says_nothing

OUTPUTS = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data")) / "model_outputs"
FILES = {
    "GPT-3 on GSM8K": OUTPUTS / "gsm8k_test_openai_gpt3.jsonl.gz",
    "Qwen2.5-Math on MATH": OUTPUTS / "math_qwen25math_100x8.jsonl.gz",
}


def responses(path: Path) -> list[str]:
    """Return the solutions of a JSONL file, compressed or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["response"] for line in file]


def run(most: int | None = None) -> list[Result]:
    """Split with every method; count anomalies for the default one."""
    files = dict(FILES)
    if "SHEPHERD_SOLUTIONS" in os.environ:
        files["own solutions"] = Path(os.environ["SHEPHERD_SOLUTIONS"])
    return [
        result
        for label, path in files.items()
        for result in _results(label, responses(path)[:most])
    ]


def _results(label: str, texts: list[str]) -> list[Result]:
    results = [Result(f"{label}: solutions", len(texts), "solutions")]
    for method in get_args(Method):
        start = time.perf_counter()
        split = [split_steps(text, method) for text in texts]
        seconds = time.perf_counter() - start
        counts = np.array([len(steps) for steps in split])
        changed = sum("".join(s) != text for s, text in zip(split, texts, strict=True))
        empty = sum(says_nothing(step) for steps in split for step in steps)
        results += [
            at_most(f"{label}, {method}: solutions changed", changed, "solutions", 0),
            Result(f"{label}, {method}: steps, mean", float(counts.mean()), "steps"),
            *(
                Result(f"{label}, {method}: steps, {share} %", value, "steps")
                for share in (10, 50, 90, 95, 100)
                for value in [float(np.percentile(counts, share))]
            ),
            Result(f"{label}, {method}: steps that say nothing", empty, f"of {counts.sum()}"),
            Result(f"{label}, {method}: rate", len(texts) / seconds, "solutions/s"),
        ]
        if method == "auto":
            names = Counter(name for steps in split for name in anomalies(steps))
            results += [
                Result(f"{label}, {method}: {anomaly}", names[anomaly], "solutions")
                for anomaly in get_args(Anomaly)
            ]
    return results


if __name__ == "__main__":
    main("splitting", run)
