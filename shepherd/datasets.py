"""Rows of published files, read into problems and solutions; a bad row gives a reason.

The parsers take one decoded JSON value and raise ValueError with the reason and the field.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from shepherd.identity import content_id
from shepherd.word_problems import WordProblem, write_solution


@dataclass(frozen=True)
class Problem:
    """A row of the table problems (:data:`shepherd.schemas.PROBLEMS`)."""

    problem_id: str
    dataset: str
    split: str
    question: str
    gold_solution: str
    gold_answer: str
    level: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class ImportedSolution:
    """A solution that was sampled elsewhere."""

    problem_id: str
    generator: str
    text: str


def gsm8k_problem(row: object, dataset: str, split: str) -> Problem:
    """Read a published GSM8K row: ``question``, and ``answer`` that ends in ``#### <number>``.

    The gold answer loses its thousands separators.

    Raises:
        ValueError: a field is missing, not text or empty, or the answer has no final answer.
    """
    fields = require_fields(row)
    question, solution = require_text(fields, "question").strip(), require_text(fields, "answer")
    _, mark, gold = solution.rpartition("####")
    if not mark or not gold.strip():
        raise ValueError("answer: has no final answer after ####")
    return Problem(
        problem_id=content_id(dataset, question),
        dataset=dataset,
        split=split,
        question=question,
        gold_solution=solution,
        gold_answer=_without_separators(gold),
    )


def word_problem(problem: WordProblem, dataset: str, split: str) -> Problem:
    """Return a word problem with a gold solution that depends on the problem alone.

    Its level is its number of steps.
    """
    rng = random.Random(content_id("gold_solution", problem.problem_key))
    return Problem(
        problem_id=content_id(dataset, problem.question),
        dataset=dataset,
        split=split,
        question=problem.question,
        gold_solution=write_solution(problem, rng),
        gold_answer=str(problem.answer),
        level=str(len(problem.nodes)),
    )


def imported_solution(
    row: object, dataset: str, problems: Mapping[str, Problem], rows: Mapping[int, Problem]
) -> ImportedSolution:
    """Read a solution that was sampled elsewhere, and find its problem.

    The text is ``text``, ``response`` or ``solution``. The problem is named by ``question``,
    ``problem_id`` or ``idx`` (its row in the published test file, from 0, as in the published
    GPT-3 samples; then a ``gold``, if given, must be the problem's). The generator is
    ``generator``, else ``model`` and ``style``, else ``imported``.

    Args:
        row: one decoded JSON value.
        dataset: name of the dataset in the profile.
        problems: test problems by id.
        rows: test problems by row in the published file.

    Raises:
        ValueError: a field is missing or of the wrong type, or no test problem matches.
    """
    fields = require_fields(row)
    text = require_text(fields, "text", "response", "solution")
    if "question" in fields:
        problem = problems.get(content_id(dataset, require_text(fields, "question").strip()))
    elif "problem_id" in fields:
        problem = problems.get(require_text(fields, "problem_id"))
    elif "idx" in fields:
        problem = _by_row(fields, rows)
    else:
        raise ValueError("question: is missing (or problem_id, or idx)")
    if problem is None:
        raise ValueError("question, problem_id or idx: names none of the test problems")
    return ImportedSolution(problem.problem_id, _generator(fields), text)


def _by_row(fields: Mapping[str, object], rows: Mapping[int, Problem]) -> Problem | None:
    index = fields["idx"]
    if type(index) is not int:  # True is an int to isinstance
        raise ValueError(f"idx: is {type(index).__name__}, not a whole number")
    problem = rows.get(index)
    if problem is not None and "gold" in fields:
        gold = _without_separators(require_text(fields, "gold"))
        if gold != problem.gold_answer:
            raise ValueError(f"gold: {gold} is not that of row {index}, {problem.gold_answer}")
    return problem


def _generator(fields: Mapping[str, object]) -> str:
    if "generator" in fields:
        return require_text(fields, "generator")
    parts = [require_text(fields, name) for name in ("model", "style") if name in fields]
    return "-".join(parts) or "imported"


def require_fields(row: object) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise ValueError(f"row: is {type(row).__name__}, not an object")
    return row


def require_text(fields: Mapping[str, object], *names: str) -> str:
    """Return the first of the named fields that is there; it must be text."""
    name = next((name for name in names if name in fields), None)
    if name is None:
        raise ValueError(f"{' or '.join(names)}: is missing")
    value = fields[name]
    if not isinstance(value, str):
        raise ValueError(f"{name}: is {type(value).__name__}, not text")
    if not value.strip():
        raise ValueError(f"{name}: is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: holds half of a surrogate pair, which is no text") from error
    return value


def _without_separators(number: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", number.strip())
