"""Show what a reward model thinks of each step of a solution.

    python -m cli.score --model models/process_reward_model solutions.jsonl
    python -m cli.score --model MODEL --question "..." --solution "Step 1: ..."
    generate | python -m cli.score --model MODEL

A file is .jsonl, .jsonl.gz or .parquet with ``question`` (or ``problem``) and ``steps`` (a list),
``solution`` or ``text``; anything else, and standard input without "{" at its start, is one
question, a blank line and its solution.
"""

import argparse
import gzip
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import polars as pl

from shepherd.splitting import split_steps
from shepherd.verification import Aggregation, aggregate
from training.scoring import Kind, Scorer

GOOD_FROM, DOUBTFUL_FROM = 0.7, 0.3
"""Scores from which a step is green, and yellow; red below."""
GREEN, YELLOW, RED, BOLD, PLAIN = "\033[32m", "\033[33m", "\033[31m", "\033[1m", "\033[0m"


@dataclass(frozen=True)
class Solution:
    """A question and the steps of one solution of it."""

    question: str
    steps: list[str]


@dataclass(frozen=True)
class Scored:
    """A solution with a score of each step (an ORM: one in all); ``weakest`` counts from 0."""

    question: str
    steps: list[str]
    scores: list[float]
    weakest: int
    score: float


def score_all(scorer: Scorer, solutions: Sequence[Solution], how: Aggregation) -> list[Scored]:
    """Score solutions, in their order."""
    found = scorer.score([s.question for s in solutions], [s.steps for s in solutions])
    worth = aggregate(pl.Series(found, dtype=pl.List(pl.Float64)), how).to_list()
    return [
        Scored(
            solution.question,
            solution.steps if scorer.kind == "process" else ["".join(solution.steps)],
            scores,
            scores.index(min(scores)),
            score,
        )
        for solution, scores, score in zip(solutions, found, worth, strict=True)
    ]


def render(scored: Scored, *, in_colour: bool) -> str:
    """Return a solution for people: a line of score and text a step, the weakest step marked."""

    def painted(text: str, *codes: str) -> str:
        return "".join(codes) + text + PLAIN if in_colour else text

    lines = [painted(scored.question.strip(), BOLD)]
    for index, (step, score) in enumerate(zip(scored.steps, scored.scores, strict=True)):
        colour = GREEN if score >= GOOD_FROM else YELLOW if score >= DOUBTFUL_FROM else RED
        first, *others = step.strip().split("\n")
        mark = "  <- weakest" if index == scored.weakest and len(scored.steps) > 1 else ""
        lines.append(f"  {painted(f'{score:.2f}', colour)}  {painted(first, colour)}{mark}")
        lines += [f"        {painted(line, colour)}" for line in others]
    return "\n".join([*lines, f"  {scored.score:.2f}  the solution"])


def read_solutions(text: str, name: str) -> list[Solution]:
    """Read JSONL, or one question, a blank line and its solution.

    Raises:
        ValueError: it is neither; the message names ``name`` and the line.
    """
    if not text.lstrip().startswith("{"):
        question, blank, solution = text.strip().partition("\n\n")
        if not blank:
            raise ValueError(f"{name}: write the question, a blank line and the solution, or JSONL")
        return [Solution(question, split_steps(solution))]
    return [
        _solution(_parsed(line, f"{name}:{number}"), f"{name}:{number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def read_file(path: Path) -> list[Solution]:
    """Read a file of one of the module's formats.

    Raises:
        ValueError: it cannot be read, or a row lacks a field.
    """
    try:
        if path.suffix == ".parquet":
            rows: Iterator[dict[str, object]] = pl.read_parquet(path).iter_rows(named=True)
            return [_solution(row, f"{path}:{number}") for number, row in enumerate(rows, start=1)]
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return read_solutions(content.decode(), str(path))
    except (OSError, EOFError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error


def _parsed(line: str, place: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: is not JSON: {error}") from error


def _solution(row: object, place: str) -> Solution:
    fields = row if isinstance(row, dict) else {}
    question = fields.get("question", fields.get("problem"))
    steps = fields.get("steps", fields.get("solution", fields.get("text")))
    if isinstance(steps, str):
        steps = split_steps(steps)
    if not isinstance(question, str):
        raise ValueError(f"{place}: needs a text in question (or problem)")
    if not (isinstance(steps, list) and steps and all(isinstance(s, str) for s in steps)):
        raise ValueError(f"{place}: needs a list of texts in steps, or a text in solution or text")
    # Published step lists leave out the newline that closes a step.
    return Solution(
        question, [s if s.endswith("\n") else s + "\n" for s in steps[:-1]] + steps[-1:]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print scored solutions; return 2 and one line of error if something is wrong."""
    options = _command_line().parse_args(arguments)
    try:
        solutions = _read(options)
        scorer = Scorer(
            options.model,
            kind=options.kind,
            template=options.template,
            max_length=options.max_length,
        )
        found = score_all(scorer, solutions, options.aggregation)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    if options.json:
        for scored in found:
            print(json.dumps(asdict(scored), ensure_ascii=False))
    else:
        print("\n\n".join(render(scored, in_colour=in_colour) for scored in found))
    return 0


def _read(options: argparse.Namespace) -> list[Solution]:
    if options.file is not None:
        return read_file(options.file)
    if options.question is None:
        return read_solutions(sys.stdin.read(), "standard input")
    text = options.solution if options.solution is not None else sys.stdin.read()
    if not text.strip():
        raise ValueError("--solution: is empty: write the solution there or on standard input")
    return [Solution(options.question, split_steps(text))]


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cli.score",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, nargs="?", help="standard input if left out")
    parser.add_argument("--model", required=True, help="folder or hub name of a reward model")
    parser.add_argument("--kind", choices=get_args(Kind), default="process")
    parser.add_argument("--question")
    parser.add_argument("--solution", help="standard input if left out")
    parser.add_argument("--template", default="plain", help="the prompt that the model knows")
    parser.add_argument("--max-length", type=int, default=512, help="tokens")
    parser.add_argument("--aggregation", choices=get_args(Aggregation), default="min")
    parser.add_argument("--json", action="store_true", help="one JSON object a solution")
    return parser


if __name__ == "__main__":
    sys.exit(main())
