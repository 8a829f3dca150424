"""TRL's stepwise supervision: ``prompt``, ``completions`` and ``labels``, one each step."""

from shepherd.datasets import require_fields, require_text
from shepherd.label_formats.rows import closed, list_field, opened, text_list_field
from shepherd.label_formats.solutions import LabeledSolution


def parse_trl(row: object) -> LabeledSolution:
    """Read a row of TRL's stepwise format; labels are all booleans (or 0 and 1) or all shares.

    A share is a soft label, and the hard label is whether it is above 0.

    Raises:
        ValueError: a field is missing or of another type, a share lies outside 0 to 1, or there
            are not as many labels as completions.
    """
    fields = require_fields(row)
    completions = text_list_field(fields, "completions")
    labels = list_field(fields, "labels")
    if len(labels) != len(completions):
        raise ValueError(f"labels: {len(labels)} for {len(completions)} completions")
    soft: tuple[float | None, ...]
    if all(type(label) in (bool, int) and label in (0, 1) for label in labels):
        hard, soft = tuple(int(label == 1) for label in labels), (None,) * len(labels)
    else:
        soft = tuple(_share(label) for label in labels)
        hard = tuple(int(label > 0) for label in soft if label is not None)
    return LabeledSolution(
        question=require_text(fields, "prompt"),
        steps=closed(completions),
        hard=hard,
        soft=soft,
        is_correct=hard[-1] == 1,
    )


def render_trl(solution: LabeledSolution) -> dict[str, object]:
    """Write a row of TRL's stepwise format with boolean labels.

    A completion lacks its closing newline: TRL's trainer puts a separator there.
    """
    return {
        "prompt": solution.question,
        "completions": opened(solution.steps),
        "labels": [label == 1 for label in solution.hard],
    }


def render_trl_float(solution: LabeledSolution) -> dict[str, object]:
    """Write a row of TRL's stepwise format with soft labels, or hard ones where there are none."""
    labels = [
        float(hard) if soft is None else soft
        for hard, soft in zip(solution.hard, solution.soft, strict=True)
    ]
    return {**render_trl(solution), "labels": labels}


def _share(label: object) -> float:
    if type(label) not in (int, float) or not 0 <= label <= 1:  # type: ignore[operator]
        raise ValueError(f"labels: {label!r} is neither true, false nor a share of 1")
    return float(label)  # type: ignore[arg-type]
