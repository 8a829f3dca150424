"""Step labels in the formats that others publish: rows of four published formats, and the
marks of people who reviewed a report.

Readers take one decoded JSON value and raise ValueError with the field and the reason. A row may
hold no labels, or several solutions.
"""

from collections.abc import Callable
from typing import Literal

from shepherd.label_formats.math_shepherd import (
    TAG_WORD,
    parse_math_shepherd,
    render_math_shepherd,
)
from shepherd.label_formats.prm800k import parse_prm800k
from shepherd.label_formats.processbench import parse_processbench, render_processbench
from shepherd.label_formats.review import check_review, parse_review
from shepherd.label_formats.solutions import LabeledSolution, labeled_frame
from shepherd.label_formats.trl import parse_trl, render_trl, render_trl_float

PublishedFormat = Literal["math_shepherd", "prm800k", "trl", "processbench", "review"]
"""Formats that labels are read from."""

ExportFormat = Literal["math_shepherd", "trl", "trl_float", "processbench"]
"""Formats that labels are written in."""

PARSERS: dict[str, Callable[[object], list[LabeledSolution]]] = {
    "math_shepherd": lambda row: [parse_math_shepherd(row)],
    "prm800k": parse_prm800k,
    "trl": lambda row: [parse_trl(row)],
    "processbench": lambda row: [parse_processbench(row)],
    "review": parse_review,
}
RENDERERS: dict[str, Callable[[LabeledSolution], dict[str, object]]] = {
    "math_shepherd": render_math_shepherd,
    "trl": render_trl,
    "trl_float": render_trl_float,
    "processbench": render_processbench,
}


__all__ = [
    "PARSERS",
    "RENDERERS",
    "TAG_WORD",
    "ExportFormat",
    "LabeledSolution",
    "PublishedFormat",
    "check_review",
    "labeled_frame",
    "parse_math_shepherd",
    "parse_prm800k",
    "parse_processbench",
    "parse_review",
    "parse_trl",
    "render_math_shepherd",
    "render_processbench",
    "render_trl",
    "render_trl_float",
]
