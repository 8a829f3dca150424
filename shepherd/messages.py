"""Text of others in messages: nothing in it may move a terminal's cursor or fill its window."""

import re

LONGEST_VALUE = 120
"""Characters of a shown value at most."""

_ADDRESS = re.compile(r"://[^\s'\"]*")


def one_line(text: str) -> str:
    """Return a text in one line, without characters that a terminal obeys or hides.

    Escape sequences, line breaks, NUL and marks of writing direction become spaces, and several
    spaces become one.
    """
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """Return a text with a space in the place of each character that a terminal obeys or hides."""
    return "".join(char if char.isprintable() else " " for char in text)


def shown(value: object) -> str:
    """Return a wrong value for a message: in one line, cut, and addresses without their content.

    An address may hold a password, which no message repeats.
    """
    text = without_addresses(one_line(repr(value)))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def without_addresses(text: str) -> str:
    """Return a text with ``://...`` in the place of each address's content."""
    return _ADDRESS.sub("://...", text)
