"""Does any text of a million characters take a text function longer than 5 seconds?

    python -m benchmarks.text_functions [--json]

Gives each function of model output (splitting, extraction, normal forms, votes) a text of every
shape. Time must be linear: a completion that repeats itself to its limit must not stop a run.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import get_args

from tqdm import tqdm

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from shepherd.answers import boxed_answer, extract_answer
from shepherd.equivalence import answer_key, compare
from shepherd.plain_text import normalize
from shepherd.splitting import MethodName, anomalies, split_steps, strip_calculations
from shepherd.splitting.sections import section_cuts

LENGTH = 1_000_000
MOST_SECONDS = 5.0
_LONGEST_NAME = 24
UNITS = [
    *("a", "A", "1", " ", "\n", "\t", "\r\n", ".", ",", "$", "\\", "{", "}", "(", ")", "[", "]"),
    *(
        "|",
        "`",
        "~",
        "#",
        "*",
        "_",
        "-",
        "=",
        "<",
        ">",
        "^",
        "&",
        "%",
        "!",
        "?",
        ":",
        ";",
        "'",
        '"',
    ),
    *("\0", "é", "½", "²", "√", "。", "٤", "🙂", "\u200b", "\x08oxed{"),
    *("a. ", "A. ", "1. ", "e.g. ", "$1. ", "3.5 ", "a b ", "Dr. ", "No. 5 ", "a.m. "),
    *("\\boxed{", "\\boxed{1}", "\\boxed{1} and ", "\\frac{1}{", "\\sqrt{", "\\text{a}", "\\left("),
    *(
        "$a",
        "$a$ ",
        "$$",
        "$$a$$\n",
        "\\(",
        "\\(a\\)",
        "\\[",
        "\\[a\\]\n",
        "\\begin{a}",
        "\\end{a}",
    ),
    *("$\n", "$a\n", "```", "```\n", "~~~\n", "| a |\n", "|---|\n", "- a\n", "1. a\n", "  - a\n"),
    *("answer: ", "Answer: 1\n", "The answer is ", "the answer to this question is ", "A: .\n"),
    *(
        "#### 1\n",
        "#### .\n",
        "####",
        "final answer\n",
        "<answer>",
        '{"answer": ',
        "答案是",
        "Ans: ",
    ),
    *("<think>", "</think>", "<|im_end|>", "<|", "<<", "<<1+1=2>>", "Question: a\n", "\n\nQ: "),
    *("Step 1: a\n", "Step\n", "**Step 1**\n", "### Step 1 ", "step ", "第一步：", "We get:\n"),
    *("Let's see.\n", "we need to follow these steps:\n", "**a**\n", "# a\n", "---\n", "Output:\n"),
    *(
        "to find a ",
        "x = 1\n",
        "a, which ",
        "12, not ",
        "is 12 (out of ",
        "because ",
        "or ",
        "and ",
    ),
    *("1,", "1 ", "1/", "1,234,", "0.3", "x^{", "x**", "f'", "\\pm", "\\\\", "\\ ", "\\,", "1 ft "),
    *(
        "1. a\n(b) c\n",
        "\\begin{a}\nx\n",
        "\\[\n",
        "x = 1 or ",
        "between 1 and 2, so ",
        "#### 1. A ",
    ),
    *(
        "Let us find " + "\\[" * 290 + "\n",
        "Let us find " + "\\(" * 290 + "\n",
        "Let " + "(1+" * 190 + "\n",
        "Let we " + "1 2 " * 145 + "\n",
        "Let us convert " + "1 " * 290 + "\n",
        "Let us simplify " + "to a " * 110 + "\n",
        "Let us add " + "1 \\times " * 65 + "\n",
        "Let's convert " + "1 " * 190 + ":\n",
    ),
    *("five ", "1 million ", "March 5 ", "12:30 ", "(A) ", "for k ", "\\circ", "2^", "x_", "{,}"),
]
"""What the texts repeat. Lines of almost 600 characters are as long as an intention may be."""
SHAPES: dict[str, Callable[[str, int], str]] = {
    "repeated": lambda unit, length: unit * (length // len(unit)),
    "after blanks": lambda unit, length: " " * (length // 2) + unit * (length // 2 // len(unit)),
}
"""How the unit fills the text: from end to end, and behind a run of blanks."""
FUNCTIONS: dict[str, Callable[[str], object]] = {
    **{
        f"split_steps, {method}": partial(split_steps, method=method)
        for method in get_args(MethodName)
    },
    "section_cuts": partial(section_cuts, max_sections=16),
    "extract_answer": extract_answer,
    "boxed_answer": boxed_answer,
    "strip_calculations": strip_calculations,
    "anomalies": lambda text: anomalies([text]),
    "normalize": normalize,
    "compare": lambda text: compare(text, text[::-1]),
    "answer_key": answer_key,
}


def run(options: argparse.Namespace) -> list[Result]:
    """Measure the longest time of each function over all shapes."""
    results = []
    for name, function in tqdm(FUNCTIONS.items(), unit="function", disable=None):
        seconds = {
            f"{shape} {_short(unit)}": _seconds(function, build(unit, options.length) + "x")
            for unit in UNITS
            for shape, build in SHAPES.items()
        }
        slowest = max(seconds, key=lambda shape: seconds[shape])
        results.append(at_most(f"{name} (slowest: {slowest})", seconds[slowest], "s", MOST_SECONDS))
    return [Result("shapes", len(UNITS) * len(SHAPES), "texts"), *results]


def _short(unit: str) -> str:
    """Return how a unit is written, cut where one line would not hold it."""
    return repr(unit if len(unit) <= _LONGEST_NAME else f"{unit[:_LONGEST_NAME]}...")


def _seconds(function: Callable[[str], object], text: str) -> float:
    """Return the CPU time of one call, which other work on the machine cannot change."""
    start = time.process_time()
    function(text)
    return time.process_time() - start


BENCHMARK = Benchmark(
    "text_functions",
    __doc__,
    run,
    sizes=[Size("length", LENGTH, 200, "characters of each text")],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
