r"""Read answers that are neither numbers nor formulas: choices, times of day, dates, remainders.

Each reader takes the words of an answer (:func:`shepherd.plain_text.plain_form`) and returns a
value that is equal for equal answers, or None where the answer has another form.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from shepherd.formulas.tokens import is_word
from shepherd.units import MATH_WORDS

_MONTH_NAMES = (
    "january february march april may june july august september october november december"
)
_SHORT_NAMES = "no on yes odd one two six ten may red was saw now own won not dog god"

_CHOICE = re.compile(
    r"(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? *)?"
    r"(?:\(([A-Ja-j])\)|([A-J])(?:[).:](?= |$)|(?=$)))[.:]?"
    r"(?: +(?![-+*/=^_<>(&]|(?:and|or|not)\b)(\S.*))?",
    re.IGNORECASE | re.DOTALL,
)
_CLOCK = re.compile(
    r"(\d{1,2})(?::(\d\d))?(?::(\d\d))? ?(?:(a|p)\.? ?m\.?|(noon|midnight))?(?: ?o'?clock)?",
    re.IGNORECASE,
)
_REMAINDER = re.compile(
    r"(-?\d+),? ?(?:R|r|rem\.?|(?:with )?(?:a )?remainder(?: of)?) ?(\d+)", re.IGNORECASE
)
_MONTHS = _MONTH_NAMES.split()
_DATE = re.compile(r"([A-Za-z]{3,9})\.? (\d{1,2})|(\d{1,2})(?: of)? ([A-Za-z]{3,9})\.?")
_NAME = re.compile(r"[A-Za-z]{2,}")
_LETTERS = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}")
_SHORT_WORDS = frozenset(_SHORT_NAMES.split())


@dataclass(frozen=True)
class Choice:
    """A letter of several choices, and the text that stands behind it, if any."""

    letter: str
    text: str
    is_bare: bool
    """The answer is the letter alone, without brackets."""


def choice(words: str) -> Choice | None:
    """Return the choice that an answer names: ``B``, ``(b)``, ``B) 42`` or ``Option B``.

    An answer of several letters, such as ``(A) and (C)``, is none.
    """
    match = _CHOICE.fullmatch(words)
    if not match:
        return None
    text = (match[3] or "").strip()
    return Choice(match[1] or match[2], text, is_bare=len(words) == 1)


def clock(words: str) -> tuple[int | None, int] | None:
    """Return a time of day: the half of the day (0, 1 or None) and seconds since it began."""
    match = _CLOCK.fullmatch(words)
    if not match or not (match[2] or match[4] or match[5] or "clock" in words):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if hour > 24 or minute > 59 or second > 59:
        return None
    half = None
    if match[4]:
        half = "ap".index(match[4].lower())
    elif match[5]:
        half = 1 if match[5].lower() == "noon" else 0
    elif hour > 12:
        half = 1
    return half, (hour % 12) * 3600 + minute * 60 + second


def same_time(first: tuple[int | None, int], second: tuple[int | None, int]) -> bool:
    """Say whether two times agree; a time without half of the day may be in either."""
    halves = {first[0], second[0]} - {None}
    return first[1] == second[1] and len(halves) < 2


def remainder(words: str) -> tuple[int, int] | None:
    """Return quotient and remainder of an answer such as ``7 R 2``."""
    match = _REMAINDER.fullmatch(words)
    return (int(match[1]), int(match[2])) if match else None


def date(words: str) -> tuple[int, int] | None:
    """Return month and day of an answer such as ``5 March`` and ``March 5``."""
    match = _DATE.fullmatch(words)
    if not match:
        return None
    name, day = (match[1] or match[4]).lower(), int(match[2] or match[3])
    months = [index for index, month in enumerate(_MONTHS) if month.startswith(name)]
    return (months[0], day) if len(months) == 1 else None


FORMS: tuple[Callable[[str], object], ...] = (remainder, date)
"""Readers whose values are compared with ``==``."""


def is_name(normal: str) -> bool:
    """Say whether a whole answer is a name or an order of points, not a product of letters."""
    if not _NAME.fullmatch(normal):
        return False
    if normal.lower() in MATH_WORDS:
        return False
    return len(normal) > 3 or not normal.islower() or normal in _SHORT_WORDS


def has_words(normal: str) -> bool:
    """Say whether words that are no mathematics stand in an answer."""
    return any(map(is_word, _LETTERS.findall(normal)))
