r"""Cut a solution into steps, so that joining the steps gives the text back to the letter.

The separator stays at the end of the step that it closes. No step is blank, and none begins
inside a LaTeX environment, a display formula, a code fence, a table or a bullet list. The
closing line (``The answer is: X``, ``#### X``, ``A: X``) belongs to the last step, as in the
published Math-Shepherd data, where the tag of the last step follows the answer.

The thought of a reasoning model is cut into sections instead, and the summary behind it as any
other solution.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from shepherd.answers import closes, extract_answer_with_source
from shepherd.answers.marks import EXPLICIT
from shepherd.splitting.blocks import Span, outside, protected_spans
from shepherd.splitting.heads import head_numbers, head_starts
from shepherd.splitting.lines import joined_line_cuts, line_cuts
from shepherd.splitting.sections import section_cuts
from shepherd.splitting.sentences import sentence_cuts
from shepherd.thoughts import THOUGHT_TAG, thought_end

Anomaly = Literal[
    "empty",
    "single_step",
    "many_steps",
    "long_step",
    "repeated_step",
    "misnumbered",
    "no_answer",
]
"""``misnumbered``: the ``Step k:`` marks do not count 1, 2, 3; ``no_answer``: the last step does
not mark an answer."""
MANY_STEPS = 40
LONG_STEP = 2000
"""Characters past which a step is long; the paper's sequences hold 512 tokens in all."""
MethodName = Literal["auto", "newline", "step", "blank_line", "sentence", "reasoning"]
Method = str
"""The name of a method; ``reasoning:N`` also says how many sections a thought has at most."""

REASONING: MethodName = "reasoning"
MAX_SECTIONS = 16
"""Sections of a thought at most, where a method does not say it."""

SPLITTING_VERSION = "4"
"""Raised when the cuts of some text change, so that its steps have other ids than before."""

_BLANK_LINES = re.compile(r"\n[ \t\r]*\n(?=[ \t\r]*[^\s])")
_BULLET = re.compile(r"[ \t]*[-*+•][ \t]")
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>")


def split_steps(text: str, method: Method = "auto") -> list[str]:
    """Cut ``text`` into steps; ``"".join(split_steps(text)) == text``, and ``""`` has no steps.

    ``auto`` cuts before each ``Step k:`` at a line start where there is one, else at newlines,
    and joins a line that says nothing by itself (a heading, a plan, a line before a formula or a
    list) to the lines that it leads to. What stands before the first ``Step k:`` belongs to the
    first step. A text of whitespace alone is one step.

    ``reasoning`` cuts the thought into sections (:mod:`shepherd.splitting.sections`) and the
    summary as ``auto``. A thought that is not closed is all of the text.
    """
    if not text:
        return []
    name, _, max_sections = method.partition(":")
    if name == REASONING:
        return _reasoning_steps(text, int(max_sections or MAX_SECTIONS))
    spans = protected_spans(text, inline=method == "sentence")
    cuts = _CUTS[method](text, spans)
    return _glue(_pieces(text, outside(cuts, spans) if spans else cuts))


def scored_steps(text: str, method: Method = "auto") -> list[str]:
    """Return the steps that a reward model scores: one empty step where there is no text."""
    return split_steps(text, method) or [text]


def strip_calculations(text: str) -> str:
    """Return the text without GSM8K's calculator annotations, such as ``<<48/2=24>>``."""
    return _CALCULATION.sub("", text)


def _reasoning_steps(text: str, max_sections: int) -> list[str]:
    """Return the sections of a thought, and the steps of the summary."""
    summary = text[thought_end(text) :].lstrip()
    start = len(text) - len(summary)
    steps = split_steps(summary)
    if not re.search(r"\w", THOUGHT_TAG.sub("", text[:start])):
        return [text[:start] + steps[0], *steps[1:]] if steps else [text]
    return [*_pieces(text[:start], section_cuts(text[:start], max_sections)), *steps]


def _newline_cuts(text: str, _spans: list[Span]) -> list[int]:
    return line_cuts(text)


def _step_cuts(text: str, _spans: list[Span]) -> list[int]:
    return head_starts(text)[1:]


def _auto_cuts(text: str, spans: list[Span]) -> list[int]:
    starts = head_starts(text)
    if spans:
        starts = outside(starts, spans)
    return starts[1:] if starts else joined_line_cuts(text, spans)


def _blank_line_cuts(text: str, _spans: list[Span]) -> list[int]:
    ends = (match.end() for match in _BLANK_LINES.finditer(text))
    return [end for end in ends if not _BULLET.match(text, end)]


def _sentence_cuts(text: str, _spans: list[Span]) -> list[int]:
    return sentence_cuts(text)


_CUTS: dict[str, Callable[[str, list[Span]], list[int]]] = {
    "auto": _auto_cuts,
    "newline": _newline_cuts,
    "step": _step_cuts,
    "blank_line": _blank_line_cuts,
    "sentence": _sentence_cuts,
}


def _pieces(text: str, cuts: list[int]) -> list[str]:
    bounds = [0, *(cut for cut in cuts if 0 < cut < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def _glue(pieces: list[str]) -> list[str]:
    """Join blank pieces, and a closing line that is the last piece, to the piece before."""
    groups: list[list[str]] = []
    is_blank = False
    for piece in pieces:
        if groups and (piece.isspace() or is_blank):
            groups[-1].append(piece)
            is_blank = is_blank and piece.isspace()
        else:
            groups.append([piece])
            is_blank = piece.isspace()
    steps = ["".join(group) for group in groups]
    if len(steps) > 1 and closes(steps[-1]):
        last = steps.pop()
        steps[-1] += last
    return steps


def anomalies(steps: list[str]) -> list[Anomaly]:
    """Name what is unusual about the steps of a solution, each class once, in a fixed order."""
    numbers = [number for step in steps for number in head_numbers(step)]
    extraction = extract_answer_with_source(steps[-1]) if steps else None
    is_present: dict[Anomaly, bool] = {
        "empty": not steps,
        "single_step": len(steps) == 1,
        "many_steps": len(steps) > MANY_STEPS,
        "long_step": any(len(step) > LONG_STEP for step in steps),
        "repeated_step": len({step.strip() for step in steps}) < len(steps),
        "misnumbered": numbers != list(range(1, len(numbers) + 1)),
        "no_answer": extraction is None or extraction.source not in EXPLICIT,
    }
    return [name for name, present in is_present.items() if present]
