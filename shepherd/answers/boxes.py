r"""Read ``\boxed{...}``: several boxes of one sentence are one answer of several parts."""

import re

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)[ ]?(?=\{)|\\boxed[ ](?=\w)|\x08oxed(?=\{)")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_JOINT = (
    r"[\s$,;&.:{}]|\\[()\[\],;: ]|\\q?quad|\\\\|\\(?:text|mbox)\{\s*(?:and|or|,)\s*\}|(?:and|or)\b"
    r"|\(?(?:[a-h]|[ivx]{1,3}|\d)\)|[A-Za-z](?:_\{?\w\}?)?\s*="
)
_BETWEEN = re.compile(rf"(?:{_JOINT})*(?:[A-Za-z]{{3,15}}\b(?:{_JOINT})*)?")
_CONNECTED = re.compile(r"[,;&]|\band\b|\bor\b|\\q?quad|\)")
_MOST_PARTS = 50
"""Boxes of one answer; the next one begins another."""
_LONGEST_GAP = 60
"""Characters past which two boxes do not belong to one answer."""


def boxes_of(body: str) -> dict[int, str]:
    """Return what the boxes hold, by the place behind each mark; a box cut off is left out.

    A box that goes on with the parts before it holds all of them, parted by commas.
    """
    partners = _partners(body)
    boxes: dict[int, str] = {}
    parts: list[str] = []
    previous_end = -1
    for mark in _BOX.finditer(body):
        start = mark.end()
        end = partners.get(start, -1) if body[start] == "{" else start
        if end < 0:
            continue
        content = body[start : end + 1].removeprefix("{").removesuffix("}").strip()
        if body[start] != "{":
            content = body[start]
        is_part = 0 <= previous_end <= mark.start() and _is_joint(body, previous_end, mark.start())
        is_part = is_part and len(parts) < _MOST_PARTS
        parts = [*parts, content] if is_part else [content]
        boxes[start] = ", ".join(part for part in dict.fromkeys(parts) if part)
        previous_end = end + 1
    return boxes


def boxed_answer(text: str) -> str | None:
    r"""Return what the last ``\boxed{}`` holds, or None if there is none, or it is empty or cut."""
    boxes = [mark.end() for mark in _BOX.finditer(text)]
    return (boxes_of(text).get(boxes[-1]) or None) if boxes else None


def _is_joint(body: str, start: int, end: int) -> bool:
    """Say whether the text between two boxes makes them parts of one answer."""
    if end - start > _LONGEST_GAP:
        return False
    gap = body[start:end]
    return _BETWEEN.fullmatch(gap) is not None and _CONNECTED.search(gap) is not None


def _partners(body: str) -> dict[int, int]:
    """Return where each brace that is opened is closed, in one pass."""
    partners: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(body):
        if brace.group() == "{":
            opened.append(brace.start())
        elif brace.group() == "}" and opened:
            partners[opened.pop()] = brace.start()
    return partners
