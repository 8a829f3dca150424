"""Does published GSM8K go in whole, and is it graded as its publishers graded it?

    python -m benchmarks.gsm8k_import [--json]

Reads all problems and OpenAI's four GPT-3 solutions of each test problem, under the folder that
SHEPHERD_SHARED_DATA names. The baseline compares ``pred`` with ``gold`` as strings.
"""

import os
import sys
import time
from pathlib import Path

import polars as pl

from benchmarks.report import Result, at_least, at_most, main
from resources.files.imported_solutions import load_solutions
from resources.files.problems import load_problems
from shepherd.settings import DatasetSettings

DATA = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))
SAMPLES = DATA / "model_outputs" / "gsm8k_test_openai_gpt3.jsonl.gz"
SETTINGS = DatasetSettings(
    source="gsm8k",
    train=str(DATA / "gsm8k" / "train.jsonl"),
    test=str(DATA / "gsm8k" / "test.jsonl"),
    solutions=str(SAMPLES),
)


def compare_grades(problems: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    """Return one row per published solution: its own verdict, ``source_correct``, and ours.

    Args:
        problems: all of GSM8K, in the order of the files.
        solutions: the imported solutions of all of ``problems``.
    """
    tests = problems.filter(split="test").with_row_index("idx").select("idx", "problem_id")
    published = pl.read_ndjson(SAMPLES).select(
        pl.col("idx").cast(pl.UInt32),
        "pred",
        "gold",
        "source_correct",
        generator=pl.concat_str("model", "style", separator="-"),
        text="response",
    )
    return published.join(tests, on="idx", how="left").join(
        solutions.select("problem_id", "generator", "text", "answer", "is_correct"),
        on=["problem_id", "generator", "text"],
        how="left",
        maintain_order="left",
    )


def disagreements(compared: pl.DataFrame) -> pl.DataFrame:
    """Return the solutions of :func:`compare_grades` of which only one side says correct."""
    return compared.filter(pl.col("is_correct") != pl.col("source_correct"))


def run() -> list[Result]:
    """Import and compare; list each disagreement on stderr, for docs/gsm8k.md."""
    start = time.perf_counter()
    problems, rejected = load_problems("gsm8k", SETTINGS, seed=0)
    solutions, unmatched = load_solutions("gsm8k", SETTINGS, problems)
    seconds = time.perf_counter() - start
    compared = compare_grades(problems, solutions)
    for row in disagreements(compared).iter_rows(named=True):
        print(row, file=sys.stderr)
    as_strings = compared["pred"].eq_missing(compared["gold"]) == compared["source_correct"]
    agreed = compared.height - disagreements(compared).height
    num_solutions = int(solutions["num_samples"].sum())
    splits = dict(problems["split"].value_counts().iter_rows())
    num_rejected = rejected.height + unmatched.height
    return [
        at_least("train problems", splits["train"], "problems", 7_473),
        at_least("test problems", splits["test"], "problems", 1_319),
        at_least("solutions", num_solutions, "solutions", 5_276),
        at_most("rejected rows", num_rejected, "rows", 0),
        at_least("verdicts as published", agreed, "solutions", 5_276, int(as_strings.sum())),
        Result("reading, matching and grading", seconds, "s"),
    ]


if __name__ == "__main__":
    main("gsm8k_import", run)
