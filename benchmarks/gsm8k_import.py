"""Is all of GSM8K imported, and is it graded as its publishers graded it?

    python -m benchmarks.gsm8k_import [--json]

Imports all problems, and OpenAI's four GPT-3 solutions of each test problem, from the folder
``SHEPHERD_SHARED_DATA``, else ``../shared/data``. The baseline of "verdicts as published" compares
the published answer ``pred`` with ``gold`` as strings. Disagreements go to stderr.
"""

import argparse
import sys
import time

import polars as pl

from benchmarks.command import Benchmark
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import shared_file
from resources.files.problems import load_problems, load_solutions
from shepherd.settings import DatasetSettings

SAMPLES = ("model_outputs", "gsm8k_test_openai_gpt3.jsonl.gz")


def compare_grades(problems: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    """Return one row a published solution, with the verdict of its publishers and with ours.

    Args:
        problems: all of GSM8K, in the order of the files.
        solutions: the imported solutions of all of ``problems``.

    Returns:
        idx, pred, gold, source_correct (published verdict), generator, text, problem_id, answer
        and is_correct (our verdict).
    """
    tests = problems.filter(split="test").with_row_index("idx").select("idx", "problem_id")
    published = pl.read_ndjson(shared_file(*SAMPLES)).select(
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
    """Return the rows of :func:`compare_grades` whose two verdicts differ."""
    return compared.filter(pl.col("is_correct") != pl.col("source_correct"))


def run(options: argparse.Namespace) -> list[Result]:  # noqa: ARG001 - every benchmark takes them
    """Import and compare; print each disagreement on stderr.

    Raises:
        ValueError: the published files are not there.
    """
    settings = DatasetSettings(
        source="gsm8k",
        train=str(shared_file("gsm8k", "train.jsonl")),
        test=str(shared_file("gsm8k", "test.jsonl")),
        solutions=str(shared_file(*SAMPLES)),
    )
    start = time.perf_counter()
    problems, rejected = load_problems("gsm8k", settings, seed=0)
    solutions, unmatched = load_solutions("gsm8k", settings, problems)
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


BENCHMARK = Benchmark("gsm8k_import", __doc__, run)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
