"""Read the solutions that ``shepherd score`` scores: rows as importers read, or plain text."""

import codecs
import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resources.files.lines import Line
from resources.files.rows import has_rows, read_rows
from shepherd.datasets import require_fields, require_text
from shepherd.splitting import split_steps

MAX_TEXT_BYTES = 64 * 2**20
"""Bytes of a text file or of standard input at most; a .jsonl file has no limit."""


@dataclass(frozen=True)
class SplitSolution:
    """A question and the steps of one solution; the steps joined are the solution's text."""

    question: str
    steps: list[str]


def solution_of(question: str, text: str) -> SplitSolution:
    """Split the text of a solution into steps.

    Raises:
        ValueError: the question or the text is empty or no text.
    """
    fields = {"--question": question, "--solution": text}
    if not text.strip():
        raise ValueError("--solution: is empty: write the solution there or to standard input")
    return SplitSolution(
        require_text(fields, "--question"), split_steps(require_text(fields, "--solution"))
    )


def read_file(path: Path) -> list[SplitSolution]:
    """Read the rows of a file or folder that importers read, or a text file.

    A text file, which may be packed by gzip, holds JSONL or one question and its solution.

    Raises:
        ValueError: the file cannot be read, or a row lacks a field.
    """
    if path.is_dir() or has_rows(path):
        return _solutions(read_rows(path, "FILE"), path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error}): correct FILE") from error
    return read_solutions(content, str(path))


def read_solutions(content: bytes, name: str) -> list[SplitSolution]:
    """Read JSONL (the text starts with "{"), or one question, a blank line and its solution.

    Raises:
        ValueError: the text is neither; the message names ``name`` and the line.
    """
    if len(content) > MAX_TEXT_BYTES:
        limit = MAX_TEXT_BYTES // 2**20
        raise ValueError(f"{name}: is longer than {limit} MiB: write a .jsonl file")
    content = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    if content.lstrip().startswith(b"{"):
        lines = enumerate(content.split(b"\n"), start=1)
        return _solutions(
            (Line(name, number, line) for number, line in lines if line.strip()), name
        )
    try:
        question, blank_line, solution = content.decode().strip().partition("\n\n")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise ValueError(f"{name}: is not UTF-8 at {place}: save it as UTF-8") from error
    if not blank_line:
        raise ValueError(f"{name}: write the question, a blank line and the solution, or JSONL")
    return [SplitSolution(question, split_steps(solution))]


def _solutions(lines: Iterable[Line], source: object) -> list[SplitSolution]:
    solutions = []
    for line in lines:
        try:
            solutions.append(_row(line.parse()))
        except ValueError as error:
            place = f"{line.file} line {line.number}"
            raise ValueError(f"{place}: {error}: correct or remove the row") from error
    if not solutions:
        raise ValueError(f"{source}: holds no solutions: write at least one")
    return solutions


def _row(row: object) -> SplitSolution:
    fields = require_fields(row)
    question = require_text(fields, "question", "problem")
    steps = fields.get("steps")
    if isinstance(steps, str):
        steps = split_steps(require_text(fields, "steps"))
    elif steps is None:
        steps = split_steps(require_text(fields, "solution", "text", "steps"))
    if not (isinstance(steps, list) and steps):
        raise ValueError("steps: is no list of texts")
    texts = [require_text({"steps": step}, "steps") for step in steps]
    # Published step lists leave out the newline that ends a step.
    ended = [text if text.endswith("\n") else text + "\n" for text in texts[:-1]]
    return SplitSolution(question, ended + texts[-1:])
