"""Find the thoughts of reasoning models: the part of a text in ``<think>``, before the summary.

A prompt may open the thought itself, so that a completion begins inside it.
"""

import re

THOUGHT_TAG = re.compile(
    r"<(?P<close>/?)(?:think|thinking|thought|reasoning)>|◁(?P<closing>/?)think▷", re.IGNORECASE
)
"""Opens or closes a thought, in the words of DeepSeek, Qwen, Kimi and others."""

_OPENING = re.compile(r"(?:<(?:think|thinking|thought|reasoning)>|◁think▷)\s*\Z", re.IGNORECASE)
_LONGEST_OPENING = 100
"""Characters of a tag and the white space behind it, at most."""


def closes_thought(tag: re.Match[str]) -> bool:
    """Return whether a match of ``THOUGHT_TAG`` closes a thought."""
    return bool(tag["close"] or tag["closing"])


def has_thought(text: str) -> bool:
    """Return whether a text holds a tag of a thought."""
    return THOUGHT_TAG.search(text) is not None


def opening_of(prompt: str) -> str:
    """Return the tag by which the end of a prompt opens a thought, and its white space; else ""."""
    opening = _OPENING.search(prompt, max(0, len(prompt) - _LONGEST_OPENING))
    return opening.group() if opening else ""


def behind_opening(prompt: str, answer: str) -> str:
    """Return an answer without the tag of its thought, where the prompt ends with that tag."""
    return answer.removeprefix(opening_of(prompt))


def ends_in_thought(text: str, *, begins_in_thought: bool = False) -> bool:
    """Return whether the thought that a text is in is not closed at its end."""
    is_open = begins_in_thought
    for tag in THOUGHT_TAG.finditer(text):
        is_open = not closes_thought(tag)
    return is_open


def thought_end(text: str, *, begins_in_thought: bool = False) -> int:
    """Return where the summary begins: behind the last thought.

    It is 0 without a thought, and the length of the text if the last thought is not closed.
    """
    end, is_open = 0, begins_in_thought
    for tag in THOUGHT_TAG.finditer(text):
        is_open = not closes_thought(tag)
        end = end if is_open else tag.end()
    return len(text) if is_open else end


def with_thought(thought: str, summary: str) -> str:
    """Return the text of a thought and a summary that a server returns apart.

    A thought without a summary stays open: it was cut off.
    """
    if not thought:
        return summary
    opened = f"<think>\n{thought.strip()}\n"
    return f"{opened}</think>\n\n{summary.lstrip()}" if summary.strip() else opened
