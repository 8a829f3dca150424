"""Read the solutions that ``shepherd score`` scores: JSONL, Parquet or plain text."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shepherd.splitting import split_steps


@dataclass(frozen=True)
class SplitSolution:
    """A question and the steps of one solution; the steps joined are the solution's text."""

    question: str
    steps: list[str]


def solution_of(question: str, text: str) -> SplitSolution:
    """Split the text of a solution into steps.

    Raises:
        ValueError: the text is empty.
    """
    if not text.strip():
        raise ValueError("--solution: is empty: write the solution there or to standard input")
    return SplitSolution(question, split_steps(text))


def read_file(path: Path) -> list[SplitSolution]:
    """Read a .parquet, .jsonl or .jsonl.gz file, or a text file of one question and solution.

    Raises:
        ValueError: the file cannot be read, or a row lacks a field.
    """
    try:
        if path.suffix == ".parquet":
            rows: Iterator[dict[str, object]] = pl.read_parquet(path).iter_rows(named=True)
            return [_row(row, f"{path}:{number}") for number, row in enumerate(rows, start=1)]
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return read_solutions(content.decode(), str(path))
    except (OSError, EOFError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error


def read_solutions(text: str, name: str) -> list[SplitSolution]:
    """Read JSONL (the text starts with "{"), or one question, a blank line and its solution.

    Raises:
        ValueError: the text is neither; the message names ``name`` and the line.
    """
    if not text.lstrip().startswith("{"):
        question, blank_line, solution = text.strip().partition("\n\n")
        if not blank_line:
            raise ValueError(f"{name}: write the question, a blank line and the solution, or JSONL")
        return [SplitSolution(question, split_steps(solution))]
    return [
        _row(_parse(line, f"{name}:{number}"), f"{name}:{number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def _parse(line: str, place: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: is not JSON: {error}") from error


def _row(row: object, place: str) -> SplitSolution:
    fields = row if isinstance(row, dict) else {}
    question = fields.get("question", fields.get("problem"))
    steps = fields.get("steps", fields.get("solution", fields.get("text")))
    if isinstance(steps, str):
        steps = split_steps(steps)
    if not isinstance(question, str):
        raise ValueError(f"{place}: needs a text in question (or problem)")
    if not (isinstance(steps, list) and steps and all(isinstance(s, str) for s in steps)):
        raise ValueError(f"{place}: needs a list of texts in steps, or a text in solution or text")
    # Published step lists leave out the newline that ends a step.
    ended = [step if step.endswith("\n") else step + "\n" for step in steps[:-1]]
    return SplitSolution(question, ended + steps[-1:])
