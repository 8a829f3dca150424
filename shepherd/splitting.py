r"""Cut a solution into steps, so that joining the steps gives the text back to the letter.

The separator stays at the end of the step that it closes. No step is blank, and none begins
inside a LaTeX environment, a display formula, a code fence or a bullet list. The closing line
(``The answer is: X``, ``#### X``, ``A: X``) belongs to the last step, as in the published
Math-Shepherd data, where the tag of the last step follows the answer.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from shepherd.answers import extract_answer_with_source

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
Method = Literal["auto", "newline", "step", "blank_line", "sentence"]

_MARK = r"[ \t]*(?:[*#]+[ \t]*)?Step[ \t]*(\d{1,9})[ \t]*[:.)]"
_STEP_MARK = re.compile("^" + _MARK, re.MULTILINE)
_LATER_STEP_MARK = re.compile("\n" + _MARK)
_LINE_START = re.compile(r"\n(?=[^\n])")
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n(?=[ \t\r]*[^\s])")
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\bDr|\bMr|\bMs|\bSt)(?<!\bMrs|\be\.g|\bi\.e)[.!?][\"')*]*\s+|\n+"
)
_CONTINUED = re.compile(r"[ \t]*[-*+•][ \t]|[ \t]{2,}|\t|[ \t\r]*(?:\n|$)")
_CLOSING_LINE = re.compile(
    r"\s*(?:####[ \t]|A:[ \t]|(?:The )?(?:final )?answer is\b)", re.IGNORECASE
)
_BULLET = re.compile(r"[ \t]*[-*+•][ \t]")
_LIST_NUMBER = re.compile(r"[ \t]*\d{1,2}\.[ \t]+")
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>")
_FENCE_OR_ENVIRONMENT = re.compile(r"```|\$\$|\\\[|\\\]|\\begin\{|\\end\{")
_INLINE_FORMULA = re.compile(r"\$[^$\n]{1,400}\$|\\\((?:[^\\\n]|\\[^()\n]){1,400}\\\)")


def split_steps(text: str, method: Method = "auto") -> list[str]:
    """Cut ``text`` into steps; ``"".join(split_steps(text)) == text``, and ``""`` has no steps.

    ``auto`` cuts before each ``Step k:`` at a line start where there is one, else at newlines.
    What stands before the first ``Step k:`` belongs to the first step. A text of whitespace
    alone is one step.
    """
    if not text:
        return []
    cuts = _CUTS[method](text)
    spans = _protected_spans(text, inline=method == "sentence")
    return _glue(_pieces(text, _outside(cuts, spans) if spans else cuts))


def scored_steps(text: str, method: Method = "auto") -> list[str]:
    """Return the steps that a reward model scores: one empty step where there is no text."""
    return split_steps(text, method) or [text]


def strip_calculations(text: str) -> str:
    """Return the text without GSM8K's calculator annotations, such as ``<<48/2=24>>``."""
    return _CALCULATION.sub("", text)


def _newline_cuts(text: str) -> list[int]:
    ends = (match.end() for match in _LINE_START.finditer(text))
    return [end for end in ends if not _CONTINUED.match(text, end)]


def _step_cuts(text: str) -> list[int]:
    return _step_starts(text)[1:]


def _auto_cuts(text: str) -> list[int]:
    starts = _step_starts(text)
    return starts[1:] if starts else _newline_cuts(text)


def _step_starts(text: str) -> list[int]:
    first = [0] if _STEP_MARK.match(text) else []
    # A pattern that begins with a fixed character is searched for twice as fast.
    return first + [match.start() + 1 for match in _LATER_STEP_MARK.finditer(text)]


def _blank_line_cuts(text: str) -> list[int]:
    ends = (match.end() for match in _BLANK_LINES.finditer(text))
    return [end for end in ends if not _BULLET.match(text, end)]


def _sentence_cuts(text: str) -> list[int]:
    cuts = []
    for match in _SENTENCE_END.finditer(text):
        line = text.rfind("\n", 0, match.start()) + 1
        opens_item = _LIST_NUMBER.fullmatch(text, line, match.end())
        ends_line = "\n" in match.group()
        in_bullet = not ends_line and _BULLET.match(text, line)
        if not (opens_item or in_bullet or _BULLET.match(text, match.end())):
            cuts.append(match.end())
    return cuts


_CUTS: dict[str, Callable[[str], list[int]]] = {
    "auto": _auto_cuts,
    "newline": _newline_cuts,
    "step": _step_cuts,
    "blank_line": _blank_line_cuts,
    "sentence": _sentence_cuts,
}


def _protected_spans(text: str, *, inline: bool) -> list[tuple[int, int]]:
    """Return the closed blocks that no cut may fall into; an open one protects nothing."""
    spans: list[tuple[int, int]] = []
    if "`" not in text and "$" not in text and "\\" not in text:
        return spans
    closes = {"```": "```", "$$": "$$", "\\[": "\\]", "\\begin{": "\\end{"}
    opener, start, depth = "", 0, 0
    for token in _FENCE_OR_ENVIRONMENT.finditer(text):
        found = token.group()
        if not opener:
            if found in closes:
                opener, start, depth = found, token.start(), 1
        elif found == closes[opener]:
            depth -= 1
            if depth == 0:
                spans.append((start, token.end()))
                opener = ""
        elif found == opener:
            depth += 1
    if inline:
        spans = sorted(spans + [match.span() for match in _INLINE_FORMULA.finditer(text)])
    return spans


def _outside(cuts: list[int], spans: list[tuple[int, int]]) -> list[int]:
    """Return the cuts that fall into no span, both in order; time linear in their number."""
    kept, reached, index = [], -1, 0
    for cut in cuts:
        while index < len(spans) and spans[index][0] < cut:
            reached = max(reached, spans[index][1])
            index += 1
        if cut >= reached:
            kept.append(cut)
    return kept


def _pieces(text: str, cuts: list[int]) -> list[str]:
    bounds = [0, *(cut for cut in cuts if 0 < cut < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def _glue(pieces: list[str]) -> list[str]:
    """Join blank pieces, and a closing line that is the last piece, to the piece before."""
    steps: list[str] = []
    for piece in pieces:
        if steps and (piece.isspace() or steps[-1].isspace()):
            steps[-1] += piece
        else:
            steps.append(piece)
    if len(steps) > 1 and _CLOSING_LINE.match(steps[-1]):
        last = steps.pop()
        steps[-1] += last
    return steps


_EXPLICIT_ANSWER = ("answer_is", "hashes", "boxed", "a_line", "prose")


def anomalies(steps: list[str]) -> list[Anomaly]:
    """Name what is unusual about the steps of a solution, each class once, in a fixed order."""
    numbers = [int(match[1]) for step in steps for match in _STEP_MARK.finditer(step)]
    extraction = extract_answer_with_source(steps[-1]) if steps else None
    found: dict[Anomaly, bool] = {
        "empty": not steps,
        "single_step": len(steps) == 1,
        "many_steps": len(steps) > MANY_STEPS,
        "long_step": any(len(step) > LONG_STEP for step in steps),
        "repeated_step": len({step.strip() for step in steps}) < len(steps),
        "misnumbered": numbers != list(range(1, len(numbers) + 1)),
        "no_answer": extraction is None or extraction.source not in _EXPLICIT_ANSWER,
    }
    return [name for name, is_found in found.items() if is_found]
