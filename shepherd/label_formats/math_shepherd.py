r"""The published Math-Shepherd data (arXiv 2312.08935).

``input`` is the question, a space, and the solution with the tag ``ки`` after each step
(``Step 1: ... ки\nStep 2: ... ки``). ``label`` is the same text with ``+`` or ``-`` for each tag.
``task`` is GSM8K or MATH.
"""

import re
from collections.abc import Sequence

from shepherd.datasets import require_fields, require_text
from shepherd.label_formats.solutions import LabeledSolution

TAG_WORD = "ки"
"""Closes each step. Models see it behind a space (:data:`training.step_tags.TAG_TEXT`)."""

_STEP_ONE = "tep 1:"
"""The end of what opens the first step, ``Step 1:`` or ``step 1:``."""
_MARKS = "*_#>"
"""Marks of Markdown, which belong to the step that they precede."""
_STEP_TWO = re.compile(r"\s*(?:[*_#>]+[ \t]*)?[Ss]tep 2:")
_SENTENCE_ENDS = frozenset(".?!:;)]}$\"'”’。？")
_UNTAGGED_STEP = re.compile(r"\n[ \t]*(?:[*_#>]+[ \t]*)?Step (\d+):")


def parse_math_shepherd(row: object) -> LabeledSolution:
    """Read a row of the published Math-Shepherd data; a row with misplaced tags is refused.

    The question ends before the ``Step 1:`` that precedes the first tag. Of several, it is the only
    one that follows the end of a sentence. Without one, and if the other steps have no numbers,
    the question ends after the only question mark there.

    Raises:
        ValueError: a field is missing or not text; ``label`` is not ``input`` with a sign for
            each tag; a tag is in the question, inside a line or before more text, closes
            nothing, or is missing after a step; or the question may end at several places.
    """
    fields = require_fields(row)
    text, labels = require_text(fields, "input"), require_text(fields, "label")
    pieces = text.split(TAG_WORD)
    if len(pieces) == 1:
        raise ValueError(f"input: has no tag {TAG_WORD}")
    hard = _signs(pieces, labels)
    question, first = _cut_question(pieces)
    steps = _tagged_steps([first, *pieces[1:]])
    return LabeledSolution(
        question=question,
        steps=steps,
        hard=hard,
        soft=(None,) * len(hard),
        is_correct=hard[-1] == 1,
        task=require_text(fields, "task"),
    )


def render_math_shepherd(solution: LabeledSolution) -> dict[str, object]:
    """Write a row of the published Math-Shepherd data.

    A step that is not closed by a newline gets one, unless it is the last.

    Raises:
        ValueError: question or steps hold the tag themselves.
    """
    if any(TAG_WORD in text for text in (solution.question, *solution.steps)):
        raise ValueError(f"steps: the text holds the tag {TAG_WORD} already")
    bodies = [step.rstrip("\n") for step in solution.steps]
    closings = [step[len(body) :] for step, body in zip(solution.steps, bodies, strict=True)]
    closings = [*(closing or "\n" for closing in closings[:-1]), closings[-1]]

    def tagged(tags: Sequence[str]) -> str:
        parts = zip(bodies, tags, closings, strict=True)
        steps = (f"{body} {tag}{closing}" for body, tag, closing in parts)
        return f"{solution.question} {''.join(steps)}"

    return {
        "input": tagged([TAG_WORD] * len(bodies)),
        "label": tagged(["+" if label else "-" for label in solution.hard]),
        "task": solution.task,
    }


def _signs(pieces: Sequence[str], labels: str) -> tuple[int, ...]:
    """Return the label of each tag: ``labels`` is the pieces with a sign between each two."""
    position, hard = 0, []
    for number, piece in enumerate(pieces[:-1], start=1):
        if not labels.startswith(piece, position):
            raise ValueError(f"label: differs from input before tag {number}")
        position += len(piece)
        sign = labels[position : position + 1]
        if sign not in ("+", "-"):
            raise ValueError(f"label: has {sign!r} for tag {number}, not + or -")
        hard.append(1 if sign == "+" else 0)
        position += 1
    if labels[position:] != pieces[-1]:
        raise ValueError("label: differs from input after the last tag")
    return tuple(hard)


def _cut_question(pieces: Sequence[str]) -> tuple[str, str]:
    """Return question and first step of the text before the first tag."""
    head = pieces[0]
    cut = _step_one(head, pieces)
    if cut is None:
        cut = _question_mark(pieces)
    question = head[:cut].removesuffix(" ")
    if not question or question.isspace():
        raise ValueError("input: has no question before 'Step 1:'")
    return question, head[cut:]


def _step_one(head: str, pieces: Sequence[str]) -> int | None:
    """Return where ``Step 1:`` opens the first step; None if nothing says that one does."""
    starts = _starts(head)
    # The question itself may hold "Step 1:", in the middle of a sentence.
    after_sentences = [at for at in starts if _last_character(head, at) in _SENTENCE_ENDS]
    likely = after_sentences
    if not likely and (len(pieces) == 2 or _STEP_TWO.match(pieces[1])):
        likely = starts
    if not likely:
        return None
    # Text that goes on to a question mark may still be the question.
    end = starts[-1] if starts[-1] > likely[0] else len(head)
    is_doubtful = (end < len(head) or not after_sentences) and "?" in head[likely[0] : end]
    if len(likely) > 1 or is_doubtful:
        raise ValueError("input: the question may end before more than one 'Step 1:'")
    return likely[0]


def _starts(head: str) -> list[int]:
    """Return where ``Step 1:`` begins, with the marks of Markdown before it."""
    starts = []
    at = head.find(_STEP_ONE)
    while at >= 0:
        if at and head[at - 1] in "Ss":
            starts.append(_before_marks(head, at - 1))
        at = head.find(_STEP_ONE, at + 1)
    return starts


def _before_marks(head: str, at: int) -> int:
    """Return where the marks of Markdown before a place begin; the place itself without any."""
    end = at
    while end and head[end - 1] in " \t":
        end -= 1
    begin = end
    while begin and head[begin - 1] in _MARKS:
        begin -= 1
    is_mark = begin < end and (not begin or head[begin - 1].isspace())
    return begin if is_mark else at


def _last_character(head: str, at: int) -> str:
    """Return the last character before a place that is no white space; none without one."""
    while at and head[at - 1].isspace():
        at -= 1
    return head[at - 1 : at]


def _question_mark(pieces: Sequence[str]) -> int:
    """Return where the first step begins that no ``Step 1:`` opens: after the question mark."""
    if any(_starts(piece) for piece in pieces[1:]):
        raise ValueError("input: a tag is in the question")
    question, mark, steps = pieces[0].partition("?")
    if not mark or "?" in steps:
        raise ValueError("input: has no 'Step 1:', so that question and solution run together")
    return len(question) + 1 + steps.startswith(" ")


def _tagged_steps(pieces: Sequence[str]) -> tuple[str, ...]:
    """Return the steps; a newline that follows a tag belongs to the step that the tag closes."""
    steps = []
    body = pieces[0]
    for number, piece in enumerate(pieces[1:], start=1):
        if not body or body.isspace():
            raise ValueError(f"input: tag {number} closes no step")
        # Few steps are of more than one line, and looking for a newline takes no regex.
        if "\n" in body and (untagged := _UNTAGGED_STEP.search(body)):
            raise ValueError(f"input: the step before 'Step {untagged[1]}:' has no tag")
        following = piece.lstrip("\n")
        if piece and piece == following and number < len(pieces) - 1:
            raise ValueError(f"input: tag {number} stands inside a line")
        steps.append(body.removesuffix(" ") + piece[: len(piece) - len(following)])
        body = following
    if body:
        raise ValueError(f"input: text follows the last tag, {len(steps)}")
    return tuple(steps)
