r"""Decide whether two bare answers are equal where that needs no computer algebra.

The comparison is exact: numbers are fractions, never floats, and two plain numbers are always
decided. Rules for what is not arithmetic: a currency, a unit, a degree sign and a percent sign
say what is counted and do not change the number (``25\%`` is 25 and not 1/4); ``x = 4`` is 4.
Whatever needs algebra is undecided, and ``resources.grading`` asks a symbolic worker.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

Comparison = Literal["equal", "different", "undecided"]
"""``undecided``: at least one answer is not plain, so that algebra has to decide."""

_MAX_DIGITS = 1000
"""A longer number is not read as one: parsing it would take quadratic time."""
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)")
_RATIO = re.compile(rf"({_NUMBER.pattern})/({_NUMBER.pattern})")
_FRACTION = re.compile(r"([-+]?)\\frac\{([-+]?[\d.]+)\}\{([-+]?[\d.]+)\}")
_MIXED = re.compile(r"([-+]?)(\d+) ?\\frac\{(\d+)\}\{(\d+)\}")
_POWER_OF_TEN = re.compile(r"([-+]?\d+(?:\.\d+)?)(?:\\times|\\cdot|\*)10\^\{?([-+]?\d{1,3})\}?")
_SHORT_FRACTION = re.compile(r"\\frac ?(?:\{(\w)\}|(\w)) ?(?:\{(\w+)\}|(\w))(?!\})")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname)\{([^{}]*)\}")
_SPACING = re.compile(r"\\[!,;:> ]|\\q?quad(?![A-Za-z])|\\displaystyle|~|\s+")
_UNIT = re.compile(
    r"(?<=[\d}])\s*(?:\\?%|\^\{?\\circ\}?|°|\\degrees?|[A-Za-z][A-Za-z ./^\d-]{1,40})$"
)
_CURRENCY = re.compile(r"(?:\\?\$|[£€¥]|\\pounds|USD|US\$)(?=\s*[-+.\d])")
_ASSIGNED = re.compile(r"[A-Za-z](?:_\{?\w\}?)?(?:\([a-z]\))?\s*=(?=[^=])")


def compare(gold: str, answer: str) -> Comparison:
    """Compare two bare answers; a question of algebra is left undecided."""
    left, right = normalize(gold), normalize(answer)
    if left == right and left:
        return "equal"
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return "equal" if first == second else "different"
    return _compare_lists(left, right)


def answer_key(answer: str) -> str:
    """Return a key for voting: plain answers that are equal share it.

    Lists keep their order and brackets. Answers that need algebra to be found equal keep
    different keys.
    """
    normal = normalize(answer)
    value = number(normal)
    if value is not None:
        return str(value)
    items = _items(normal)
    if items is None:
        return normal
    opening, parts, closing = items
    return opening + ",".join(answer_key(part) for part in parts) + closing


def normalize(answer: str) -> str:
    """Return ``answer`` without dress: delimiters, spacing, text commands, units, currency."""
    text = _unwrap(answer.strip())
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("−", "-")
    text = text.replace("\\left", "").replace("\\right", "").replace("{,}", ",")
    text = _TEXT.sub(r" \1 ", text)
    text = _SPACING.sub(" ", text.replace(",\\!", ",")).strip().rstrip(".").strip()
    text = _CURRENCY.sub("", text)
    text = _UNIT.sub("", _unwrap(text)).strip()
    assigned = _ASSIGNED.match(text)
    if assigned:
        text = text[assigned.end() :]
    text = _SHORT_FRACTION.sub(_full_fraction, text)
    return text if _MIXED.fullmatch(text) else text.replace(" ", "")


def number(normal: str) -> Fraction | None:
    """Return the value of a normalised plain number, or None. A zero denominator is none."""
    if len(normal) > _MAX_DIGITS or not any(character.isdigit() for character in normal[:20]):
        return None
    if _NUMBER.fullmatch(normal):
        return Fraction(normal.replace(",", ""))
    for pattern in (_RATIO, _FRACTION, _MIXED, _POWER_OF_TEN):
        match = pattern.fullmatch(normal)
        if match:
            return _VALUES[pattern](*match.groups())
    return None


def _ratio(numerator: str, denominator: str) -> Fraction | None:
    below = Fraction(denominator.replace(",", ""))
    return Fraction(numerator.replace(",", "")) / below if below else None


def _fraction(sign: str, numerator: str, denominator: str) -> Fraction | None:
    if numerator.count(".") > 1 or denominator.count(".") > 1 or "." in (numerator, denominator):
        return None
    value = _ratio(numerator, denominator)
    return -value if value is not None and sign == "-" else value


def _mixed(sign: str, whole: str, numerator: str, denominator: str) -> Fraction | None:
    part = _ratio(numerator, denominator)
    if part is None:
        return None
    return (int(whole) + part) * (-1 if sign == "-" else 1)


def _power_of_ten(factor: str, exponent: str) -> Fraction:
    return Fraction(factor) * Fraction(10) ** int(exponent)


_VALUES: dict[re.Pattern[str], Callable[..., Fraction | None]] = {
    _RATIO: _ratio,
    _FRACTION: _fraction,
    _MIXED: _mixed,
    _POWER_OF_TEN: _power_of_ten,
}


def _full_fraction(match: re.Match[str]) -> str:
    numerator = match.group(1) or match.group(2)
    return f"\\frac{{{numerator}}}{{{match.group(3) or match.group(4)}}}"


def _unwrap(text: str) -> str:
    for opening, closing in _WRAPPERS:
        inner = text[len(opening) : -len(closing)]
        if text == opening + inner + closing and opening not in inner and closing not in inner:
            return inner.strip()
    if text.startswith("\\boxed{") and text.endswith("}") and "\\boxed" not in text[1:]:
        return text[7:-1].strip()
    return text


def _compare_lists(left: str, right: str) -> Comparison:
    """Compare tuples, intervals and lists item by item; braces and bare lists have no order."""
    first, second = _items(left), _items(right)
    if first is None or second is None:
        return "undecided"
    (opening, items, closing), (other_opening, others, other_closing) = first, second
    values = [number(item) for item in items + others]
    if None in values or len(items) != len(others):
        return "undecided"
    mine, theirs = values[: len(items)], values[len(items) :]
    if (opening, closing) != (other_opening, other_closing):
        return "undecided"
    if opening in ("", "\\{"):
        equal = sorted(map(str, mine)) == sorted(map(str, theirs))
    else:
        equal = mine == theirs
    return "equal" if equal else "different"


def _items(normal: str) -> tuple[str, list[str], str] | None:
    """Return bracket, items and bracket of a flat list of at least two items, or None."""
    opening, closing, inner = "", "", normal
    if normal.startswith("\\{") and normal.endswith("\\}"):
        opening, closing, inner = "\\{", "\\}", normal[2:-2]
    elif normal[:1] in ("(", "[") and normal[-1:] in (")", "]"):
        opening, closing, inner = normal[0], normal[-1], normal[1:-1]
    items = inner.split(",")
    if len(items) < 2 or not all(items) or re.search(r"[()\[\]]|\\[{}]", inner):
        return None
    return opening, items, closing
