"""Marks of a person on steps: what the report downloads, or writes beside itself when served.

A row is a solution: ``dataset``, ``split``, ``generator``, ``question``, ``steps``,
``is_correct``, ``is_cut``, and ``marks`` and ``notes`` with an entry a step. A mark is ``right``,
``wrong`` or null.
"""

from collections.abc import Mapping, Sequence

from shepherd.datasets import require_fields, require_text
from shepherd.label_formats.rows import list_field, text_list_field
from shepherd.label_formats.solutions import LabeledSolution

MARKS = ("right", "wrong", None)


def check_review(row: object) -> Mapping[str, object]:
    """Return the fields of a row whose steps each have a mark and a note, or null.

    Raises:
        ValueError: a field is missing or of another type, or a mark is none of :data:`MARKS`.
    """
    fields = require_fields(row)
    steps = text_list_field(fields, "steps")
    for name in ("marks", "notes"):
        given = list_field(fields, name)
        if len(given) != len(steps):
            raise ValueError(f"{name}: {len(given)} for {len(steps)} steps")
    for mark in list_field(fields, "marks"):
        if mark not in MARKS:
            raise ValueError(f"marks: {mark!r} is neither right, wrong nor null")
    return fields


def parse_review(row: object) -> list[LabeledSolution]:
    """Read the marks on a solution as hard labels of all its steps; none if they do not decide it.

    A step without a mark counts as right before the first wrong one, and as wrong after it. A
    solution in which no step is marked wrong needs a mark on its last step. Notes are not labels.

    Raises:
        ValueError: as :func:`check_review`, or the report holds only the beginning of a text of
            the solution.
    """
    fields = check_review(row)
    steps, marks = text_list_field(fields, "steps"), list_field(fields, "marks")
    is_correct = fields.get("is_correct")
    if not isinstance(is_correct, bool):
        raise ValueError("is_correct: is missing, or neither true nor false")
    if fields.get("is_cut"):
        raise ValueError("steps: the report holds the beginning of a text: import no marks of it")
    hard = _labels(marks)
    if hard is None:
        return []
    return [
        LabeledSolution(
            question=require_text(fields, "question"),
            steps=tuple(steps),
            hard=hard,
            soft=(None,) * len(steps),
            is_correct=is_correct,
            task=require_text(fields, "dataset"),
            generator=require_text(fields, "generator"),
        )
    ]


def _labels(marks: Sequence[object]) -> tuple[int, ...] | None:
    if "wrong" not in marks:
        return (1,) * len(marks) if marks[-1] == "right" else None
    first_wrong = marks.index("wrong")
    return tuple(
        int(mark == "right" or (mark is None and step < first_wrong))
        for step, mark in enumerate(marks)
    )
