"""Parsers of published rows: problems and solutions.

Each parser takes one decoded JSON value. For an unusable row it raises ValueError with the field
and the reason.
"""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from shepherd.answers import boxed_answer, extract_answer
from shepherd.identity import content_id
from shepherd.messages import shown
from shepherd.word_problems import WordProblem, write_solution

MAX_NAMES = 12
"""Fields of a row that a message names at most."""


@dataclass(frozen=True)
class Problem:
    """A row of the table problems (:data:`shepherd.schemas.PROBLEMS`)."""

    problem_id: str
    dataset: str
    split: str
    question: str
    gold_solution: str | None
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


def math_problem(row: object, dataset: str, split: str) -> Problem:
    r"""Read a row of MATH (Hendrycks et al., 2021) or of MATH500.

    The fields are ``problem``, ``solution``, ``level`` and ``type`` or ``subject``. The gold
    answer is ``answer``, or the content of the last ``\boxed{}`` of the solution.

    Raises:
        ValueError: a field is missing, not text or empty, or nothing is boxed.
    """
    fields = require_fields(row)
    question, solution = (require_text(fields, name) for name in ("problem", "solution"))
    gold = require_text(fields, "answer") if "answer" in fields else boxed_answer(solution)
    if gold is None:
        raise ValueError("solution: its last \\boxed{} is missing, empty or cut off")
    return Problem(
        problem_id=content_id(dataset, question.strip()),
        dataset=dataset,
        split=split,
        question=question.strip(),
        gold_solution=solution,
        gold_answer=gold.strip(),
        level=_optional_text(fields, "level", "Level "),
        subject=_optional_text(fields, "subject") or _optional_text(fields, "type"),
    )


def metamath_problem(row: object, dataset: str, split: str) -> Problem:
    """Read a row of MetaMathQA (arXiv 2309.12284): ``query``, ``response`` and ``type``.

    Many rows share a question. Each row is a problem of its own, with an id from question and
    response, so that fine-tuning reads them all.

    Raises:
        ValueError: a field is missing, not text or empty, or the response names no answer.
    """
    fields = require_fields(row)
    question, solution = (require_text(fields, name) for name in ("query", "response"))
    gold = extract_answer(solution)
    if gold is None:
        raise ValueError("response: names no answer")
    return Problem(
        problem_id=content_id(dataset, question.strip(), solution),
        dataset=dataset,
        split=split,
        question=question.strip(),
        gold_solution=solution,
        gold_answer=gold,
        subject=_optional_text(fields, "type"),
    )


def mapped_problem(row: object, dataset: str, split: str, columns: Mapping[str, str]) -> Problem:
    """Read a row of a table with its own column names.

    ``columns`` gives the names of the columns ``question``, ``answer``, ``solution``, ``level`` and
    ``subject``. Without ``answer`` the gold answer is extracted from the solution.

    Raises:
        ValueError: a column is missing or empty, or no gold answer is found.
    """
    fields = require_fields(row)
    question = require_text(fields, columns["question"]).strip()
    solution = require_text(fields, columns["solution"]) if "solution" in columns else None
    if "answer" in columns:
        gold = _optional_text(fields, columns["answer"])
    else:
        gold = extract_answer(solution) if solution else None
    if gold is None:
        column = columns.get("answer") or columns["solution"]
        present = "" if column in fields else _present(fields)
        raise ValueError(f"{column}: names no gold answer{present}")
    return Problem(
        problem_id=content_id(dataset, question),
        dataset=dataset,
        split=split,
        question=question,
        gold_solution=solution,
        gold_answer=_without_separators(gold),
        level=_optional_text(fields, columns["level"]) if "level" in columns else None,
        subject=_optional_text(fields, columns["subject"]) if "subject" in columns else None,
    )


def question_key(question: str) -> str:
    """Return a key that ignores the case and whitespace of a question."""
    return " ".join(question.casefold().split())


def word_problem(problem: WordProblem, dataset: str, split: str) -> Problem:
    """Return a word problem as a row of problems; its level is its number of steps.

    The gold solution depends on the problem only.
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


def imported_solutions(
    row: object,
    problems: Mapping[str, Problem],
    questions: Mapping[str, Problem],
    rows: Mapping[int, Problem],
) -> list[ImportedSolution]:
    """Read a row of solutions that were sampled elsewhere, and find their problem.

    - The text, or a list of texts, is ``text``, ``response``, ``solution`` or ``solutions``.
    - The problem is named by ``question`` or ``problem`` (case and whitespace are ignored), by
      ``problem_id`` (ours, or split and row such as ``test-12``), or by ``idx``: its row in the
      published file, from 0, as in the published GPT-3 samples. Then ``gold`` must agree.
    - The generator is ``generator``, else ``model`` and ``style``, else ``imported``.

    Args:
        row: one decoded JSON value.
        problems: problems of one split by id.
        questions: the same by :func:`question_key`.
        rows: the same by row in the published file.

    Raises:
        ValueError: a field is missing or of the wrong type, or no problem matches.
    """
    fields = require_fields(row)
    texts = _solution_texts(fields)
    question = next((name for name in ("question", "problem") if name in fields), None)
    if question is not None:
        problem = questions.get(question_key(require_text(fields, question)))
    elif "problem_id" in fields:
        problem = _by_name(require_text(fields, "problem_id"), problems, rows)
    elif "idx" in fields:
        problem = _by_row(fields, rows)
    else:
        raise ValueError(f"question: is missing (or problem_id, or idx){_present(fields)}")
    if problem is None:
        raise ValueError("question, problem_id or idx: names none of the problems")
    generator = _generator(fields)
    return [ImportedSolution(problem.problem_id, generator, text) for text in texts]


def _solution_texts(fields: Mapping[str, object]) -> list[str]:
    names = ("text", "response", "solution", "solutions")
    name = next((name for name in names if name in fields), names[0])
    value = fields.get(name)
    if isinstance(value, list) and value:
        return [require_text({name: text}, name) for text in value]
    return [require_text(fields, *names)]


def _by_name(
    name: str, problems: Mapping[str, Problem], rows: Mapping[int, Problem]
) -> Problem | None:
    split, dash, row = name.rpartition("-")
    if name not in problems and dash and row.isdecimal():
        problem = rows.get(int(row[:9]))
        return problem if problem is not None and problem.split == split else None
    return problems.get(name)


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
    """Return the fields of a row without those that are null."""
    if not isinstance(row, dict):
        raise ValueError(f"row: is {type(row).__name__}, not an object")
    return {name: value for name, value in row.items() if value is not None}


def require_text(fields: Mapping[str, object], *names: str) -> str:
    """Return the text of the first of the named fields that the row has.

    Raises:
        ValueError: none of the fields is there, or it is not text, or empty.
    """
    for name in names:
        if name in fields:
            break
    else:
        raise ValueError(f"{' or '.join(names)}: is missing{_present(fields)}")
    value = fields[name]
    if not isinstance(value, str):
        raise ValueError(f"{name}: is {type(value).__name__}, not text")
    if not value or value.isspace():
        raise ValueError(f"{name}: is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: holds half of a surrogate pair, which is no text") from error
    return value


def _present(fields: Mapping[str, object]) -> str:
    """Return the fields that a row has, for a message about one that it lacks."""
    others = f" and {len(fields) - MAX_NAMES} more" if len(fields) > MAX_NAMES else ""
    known = ", ".join(shown(name).strip("'") for name in list(fields)[:MAX_NAMES])
    return f": the row has {known or 'no value'}{others}"


def _optional_text(fields: Mapping[str, object], name: str, prefix: str = "") -> str | None:
    """Return a text or number as text; None if the field is missing or blank."""
    value = fields.get(name)
    if value is None or isinstance(value, bool | list | dict) or not str(value).strip():
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return require_text({name: str(value)}, name).strip().removeprefix(prefix)


def _without_separators(number: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", number.strip())
