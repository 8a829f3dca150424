"""Is grading right on published facts, fast on rollouts, and safe from hostile text?

    python -m benchmarks.grading [--json]

Reads published facts, problems and model outputs from the folder ``SHEPHERD_SHARED_DATA``, else
``../shared/data``.
"""

import argparse
import gzip
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import shared_file
from resources.grading import Verdict, grade_pairs
from shepherd.answers import extract_answer
from shepherd.equivalence import compare
from shepherd.splitting import split_steps

HOSTILE_SECONDS = 1.0
"""Five times stricter than the default, so that the benchmark stays short."""
WORD_PROBLEM = "Step 1: Tom has 3 + 4 = 7 apples.\nStep 2: 7 * 2 = 14.\nThe answer is: 14"


def run(options: argparse.Namespace) -> list[Result]:
    """Measure accuracy, speed and safety.

    Raises:
        ValueError: the published data is not there.
    """
    return [
        published_facts(),
        agreement("gsm8k_test_openai_gpt3", options.outputs, target=1.0),
        agreement("math_qwen25math_100x8", options.outputs, target=0.98),
        rollouts_per_second(options.rollouts),
        math_pairs_per_second(options.math_pairs),
        solutions_split_per_second(options.solutions),
        *hostile_answers(options.hostile_answers),
    ]


def published_facts() -> Result:
    """Share of the published grading facts that are met; two of the 420 are wrong themselves."""
    rows = _rows("grading", "cases.jsonl")
    pairs = [
        (row["gold"], row["pred"] if row["kind"] == "answer_pair" else extract_answer(row["pred"]))
        for row in rows
    ]
    verdicts = grade_pairs(pairs)
    right = sum(v.correct == row["expected"] for v, row in zip(verdicts, rows, strict=True))
    return at_least("published grading facts met", right, "of 420", 418)


def agreement(name: str, num_outputs: int, target: float) -> Result:
    """Share of real outputs on which we and the source of the outputs agree."""
    rows = _rows("model_outputs", f"{name}.jsonl.gz")[:num_outputs]
    verdicts = grade_pairs([(row["gold"], extract_answer(row["response"])) for row in rows])
    same = sum(v.correct == row["source_correct"] for v, row in zip(verdicts, rows, strict=True))
    return at_least(f"agreement with the source, {name}", same / len(rows), "share", target)


def rollouts_per_second(num_rollouts: int) -> Result:
    """Pairs graded a second where rollouts repeat the answers of real GSM8K solutions."""
    rows = _rows("model_outputs", "gsm8k_test_openai_gpt3.jsonl.gz")
    pairs = [(row["gold"], extract_answer(row["response"])) for row in rows]
    drawn = random.Random(0).choices(pairs, k=num_rollouts)
    seconds = _seconds(lambda: grade_pairs(drawn))
    return at_least("rollouts graded", num_rollouts / seconds, "1/CPU s", 200_000)


def math_pairs_per_second(num_pairs: int) -> Result:
    """Distinct pairs of MATH answers decided a second without algebra, in one process."""
    golds = [extract_answer(row["solution"]) for row in _rows("math", "train.jsonl")]
    answers = [gold for gold in golds if gold is not None]
    pairs = list(dict.fromkeys(zip(answers, answers[1:] + answers[:1], strict=True)))[:num_pairs]
    decided = [pair for pair in pairs if compare(*pair) != "undecided"]
    fresh = [(f"{gold} ", f"{answer} ") for gold, answer in decided]
    seconds = _seconds(lambda: grade_pairs(fresh))
    return at_least("distinct MATH pairs decided exactly", len(fresh) / seconds, "1/CPU s", 2000)


def solutions_split_per_second(num_solutions: int) -> Result:
    """Word-problem solutions split into steps a second."""
    seconds = _seconds(lambda: [split_steps(WORD_PROBLEM) for _ in range(num_solutions)])
    return at_least("solutions split", num_solutions / seconds, "1/CPU s", 25_000)


def hostile_answers(num_answers: int) -> list[Result]:
    """Hostile answers: the longest, all together, and how many were taken for correct."""
    answers = [_hostile(index) for index in range(num_answers)]
    verdicts: list[Verdict] = []
    longest = 0.0
    start = time.perf_counter()
    for answer in answers:
        pairs = [("x+1", extract_answer(answer)), ("x+1", answer)]
        begun = time.perf_counter()
        verdicts += grade_pairs(pairs, seconds=HOSTILE_SECONDS, num_workers=1)
        longest = max(longest, time.perf_counter() - begun)
    total = time.perf_counter() - start
    correct = sum(verdict.correct for verdict in verdicts)
    timeouts = sum(verdict.reason == "timeout" for verdict in verdicts)
    return [
        at_most("hostile answers taken for correct", correct, f"of {len(verdicts)}", 0),
        Result("hostile answers stopped by a limit", timeouts, f"of {len(verdicts)}"),
        # Two pairs, and twice the start of a worker in place of one that was stopped.
        at_most("longest hostile answer", longest, "s", 2 * HOSTILE_SECONDS + 10),
        Result("all hostile answers", total, "s"),
    ]


def _hostile(index: int) -> str:
    """Return one of the kinds of hostile answers, each with its own numbers."""
    n = index + 2
    easy = [
        "{" * 100_000 + str(n),
        "\\boxed{" * (14_000 + n),
        "\\sqrt{" * (n % 300 * 3) + "2" + "}" * (n % 300 * 3),
        f"{n}\0{n}",
        f"__import__('os').system('touch hostile{n}')",
        f"\\text{{__import__('os').system('touch hostile{n}')}}",
        "\\frac{1}{" * 12 + f"x+{n}" + "}" * 12,
    ]
    hard = ["^{".join(["9"] * (n % 7 + 4)) + "}" * (n % 7 + 3), f"({n * 10**6}!)!"]
    return hard[index // 100 % 2] if index % 100 == 0 else easy[index % len(easy)]


def _seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return how long ``work`` takes; by default in CPU time, which other work cannot change."""
    start = clock()
    work()
    return clock() - start


def _rows(*names: str) -> list[dict[str, Any]]:
    path = shared_file(*names)
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


BENCHMARK = Benchmark(
    "grading",
    __doc__,
    run,
    sizes=[
        Size("outputs", 5_276, 100, "published model outputs of each file to grade, at most"),
        Size("math-pairs", 12_000, 200, "distinct pairs of MATH answers to decide, at most"),
        Size("rollouts", 400_000, 4_000, "pairs of rollouts to grade"),
        Size("solutions", 100_000, 1_000, "solutions to split into steps"),
        Size("hostile-answers", 1_000, 2, "hostile answers to grade"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
