"""ProcessBench (arXiv 2412.06559): ``problem``, ``steps`` and ``label``.

The label is the index from 0 of the first wrong step, or -1.
"""

from shepherd.datasets import require_fields, require_text
from shepherd.identity import content_id
from shepherd.label_formats.rows import closed, opened, text_list_field
from shepherd.label_formats.solutions import LabeledSolution


def parse_processbench(row: object) -> LabeledSolution:
    """Read a row of ProcessBench: right before the first wrong step, wrong from there on.

    Raises:
        ValueError: a field is missing or of another type, or ``label`` names no step.
    """
    fields = require_fields(row)
    steps, first_wrong = text_list_field(fields, "steps"), fields.get("label")
    if type(first_wrong) is not int or not -1 <= first_wrong < len(steps):
        raise ValueError(f"label: {first_wrong!r} is neither -1 nor one of {len(steps)} steps")
    is_correct = fields.get("final_answer_correct")
    if not isinstance(is_correct, bool):
        raise ValueError("final_answer_correct: is missing, or neither true nor false")
    num_right = len(steps) if first_wrong == -1 else first_wrong
    return LabeledSolution(
        question=require_text(fields, "problem"),
        steps=closed(steps),
        hard=(1,) * num_right + (0,) * (len(steps) - num_right),
        soft=(None,) * len(steps),
        is_correct=is_correct,
        generator=require_text(fields, "generator"),
    )


def render_processbench(solution: LabeledSolution) -> dict[str, object]:
    """Write ProcessBench's fields; ``label`` is the first step whose hard label is 0, or -1."""
    return {
        "id": content_id(solution.question, solution.generator, *solution.steps),
        "generator": solution.generator,
        "problem": solution.question,
        "steps": opened(solution.steps),
        "final_answer_correct": solution.is_correct,
        "label": solution.hard.index(0) if 0 in solution.hard else -1,
    }
