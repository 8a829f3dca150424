r"""Decide whether two bare answers are equal where that needs no computer algebra.

Numbers are compared as exact fractions, never as floats, and two plain numbers are always
decided. The rules for what is not arithmetic:

- A currency, a unit or a degree sign says what is counted and does not change the number.
- A percent sign on one side only may be read both ways: ``25\%`` is 25, and it is 1/4.
- ``x = 4`` is 4, and ``3 + 1 = 4`` is 4; with names on both sides, the names have to agree.
- A comma within a number separates thousands; with a space behind it, it separates items.
- Bare lists and ``\{...\}`` have no order; tuples and intervals do.
- A decimal of six or more digits stands for the unending value that it rounds.
- ``1110_4`` is ``1110``, which the question says to be in base 4, but not ``1110_5``.
- ``4:30`` is ``4:30 p.m.``, which is not ``4:30 a.m.``

What is left needs algebra: ``resources.grading`` asks a symbolic worker.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from shepherd.plain_text import normalize

Comparison = Literal["equal", "rounded", "different", "undecided"]
"""``rounded``: equal by the rule on decimals; ``undecided``: algebra has to decide."""

_MAX_LENGTH = 1000
"""A longer number is not read as one: reading it takes time quadratic in its length."""
_DECIMAL = r"[-+]?(?:\d{1,3}(?:[, ]\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_INTEGER = r"[-+]?\d+"
_NUMBERS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<over>{_DECIMAL})",
        rf"(?P<over>{_DECIMAL})/(?P<under>{_DECIMAL})",
        rf"(?P<sign>[-+]?)\(?\\frac\{{(?P<over>{_DECIMAL})\}}\{{(?P<under>{_DECIMAL})\}}\)?",
        r"(?P<sign>[-+]?)(?P<whole>\d+)\\frac\{(?P<over>\d+)\}\{(?P<under>\d+)\}",
        r"(?P<sign>[-+]?)(?P<whole>\d+) (?P<over>\d+)/(?P<under>\d+)",
        rf"(?P<over>{_DECIMAL})(?:\\times|\\cdot|\*|×)10\^(?P<power>\{{{_INTEGER}\}}|\d)",
    )
)
_NAME = re.compile(r"([A-Za-z]+(?:_\{?\w+\}?)?)(?:\([a-z]\))?=(?=[^=])")
_BASED = re.compile(r"-?\d+(?:_(?:\{\d+\}|\d))?")
_SEPARATOR = re.compile(r"[,;]|(?<=\d) (?=\d)")
_CLOCK = re.compile(r"(\d{1,2}(?::\d\d){1,2})(?:([ap])\.?m\.?)?", re.IGNORECASE)


def compare(gold: str, answer: str) -> Comparison:
    """Compare two bare answers; a question of algebra is left undecided."""
    (left, first), (right, second) = _read(gold), _read(answer)
    if first is not None and second is not None:
        return _compare_numbers(left, first, right, second)
    return _compare_normal(left, right)


@lru_cache(maxsize=2**16)
def _read(answer: str) -> tuple[str, Fraction | None]:
    """Return the normal form and the value; cached, since rollouts repeat few answers."""
    normal = normalize(answer)
    return normal, number(normal)


def answer_key(answer: str) -> str:
    """Return a key for voting: plain answers that are equal share it.

    Names, units and the percent sign are dropped; items keep their order. Answers that need
    algebra to be found equal keep different keys.
    """
    normal, value = _read(answer)
    return _key(normal) if value is None else str(value)


def number(normal: str) -> Fraction | None:
    """Return the value of a normalised plain number without a percent sign, else None."""
    if len(normal) > _MAX_LENGTH:
        return None
    for pattern in _NUMBERS:
        match = pattern.fullmatch(normal)
        if match:
            return _value(match.groupdict())
    return None


def _value(parts: dict[str, str | None]) -> Fraction | None:
    power = int((parts.get("power") or "0").strip("{}"))
    under = _decimal(parts.get("under") or "1")
    if under == 0 or abs(power) > _MAX_LENGTH:
        return None
    value = _decimal(parts.get("whole") or "0") + _decimal(parts["over"] or "0") / under
    return value * Fraction(10) ** power * (-1 if parts.get("sign") == "-" else 1)


def _decimal(text: str) -> Fraction:
    return Fraction(text.replace(",", "").replace(" ", ""))


def _compare_normal(left: str, right: str) -> Comparison:
    (name, left), (other_name, right) = _named(left), _named(right)
    if name and other_name and name != other_name:
        return "undecided"
    if "=" in right and "=" not in left:
        right = _last_side(right)
    if _same_text(left, right) or _same_clock(left, right):
        return "equal"
    first, second = number(left.rstrip("%")), number(right.rstrip("%"))
    if first is not None and second is not None:
        return _compare_numbers(left, first, right, second)
    if _BASED.fullmatch(left) and _BASED.fullmatch(right):
        return _compare_bases(left, right)
    return _compare_lists(left, right)


def _same_text(left: str, right: str) -> bool:
    """Say whether the texts are the same and not empty; a word may be in either case."""
    is_word = left.isalpha() and len(left) > 1
    return left != "" and (left == right or (is_word and left.casefold() == right.casefold()))


def _compare_numbers(left: str, first: Fraction, right: str, second: Fraction) -> Comparison:
    if first == second:
        return "equal"
    if left.endswith("%") and not right.endswith("%"):
        first /= 100
    elif right.endswith("%") and not left.endswith("%"):
        second /= 100
    if first == second:
        return "equal"
    rounded = _rounds(left, first, second) or _rounds(right, second, first)
    return "rounded" if rounded else "different"


def _rounds(text: str, value: Fraction, exact: Fraction) -> bool:
    """Say whether ``text`` is a decimal that rounds or cuts an unending ``exact``."""
    whole, _, decimals = text.partition(".")
    digits = (whole + decimals).lstrip("-+0")
    if not decimals.isdigit() or len(digits) < 6 or _ends(exact):
        return False
    return abs(value - exact) < Fraction(1, 10 ** len(decimals))


def _ends(value: Fraction) -> bool:
    """Say whether ``value`` has an ending decimal: its denominator has no prime but 2 and 5."""
    return bool(10 ** value.denominator.bit_length() % value.denominator == 0)


def _compare_bases(left: str, right: str) -> Comparison:
    (digits, _, base), (other_digits, _, other_base) = left.partition("_"), right.partition("_")
    agree = base.strip("{}") == other_base.strip("{}") or not base or not other_base
    return "equal" if digits == other_digits and agree else "different"


def _same_clock(left: str, right: str) -> bool:
    first, second = _CLOCK.fullmatch(left), _CLOCK.fullmatch(right)
    if not first or not second or first[1] != second[1]:
        return False
    return first[2] is None or second[2] is None or first[2].lower() == second[2].lower()


def _compare_lists(left: str, right: str) -> Comparison:
    """Compare lists item by item; an item that needs algebra leaves them undecided."""
    first, second = _items(left), _items(right)
    if first is None or second is None:
        alone = left if first is None else right
        items = (first or second or ("", []))[1]
        plain = all(number(item) is not None for item in [alone, *items])
        return "different" if plain and items else "undecided"
    (brackets, items), (other_brackets, others) = first, second
    plain = all(number(_named(item)[1]) is not None for item in items + others)
    if len(items) != len(others):
        return "different" if plain and brackets == other_brackets else "undecided"
    names = [_named(item)[0] for item in items]
    by_name = all(names) and sorted(names) == sorted(_named(item)[0] for item in others)
    if by_name:
        items, others = sorted(items), sorted(others)
    results = {_compare_normal(mine, theirs) for mine, theirs in zip(items, others, strict=True)}
    if results == {"equal"} and _one_order(brackets, other_brackets):
        return "equal"
    ordered = by_name or (brackets in _ORDERED and other_brackets in _ORDERED)
    if not ordered and sorted(map(_key, items)) == sorted(map(_key, others)):
        return "undecided" if brackets != other_brackets else "equal"
    return "different" if plain and (ordered or brackets == other_brackets) else "undecided"


_ORDERED = ("()", "[]", "(]", "[)")


def _one_order(brackets: str, other_brackets: str) -> bool:
    """Say whether the brackets mean the same: a bare list may be any but an interval."""
    return brackets == other_brackets or {brackets, other_brackets} <= {"", "()", "{}"}


def _items(normal: str) -> tuple[str, list[str]] | None:
    """Return the brackets and the items of a flat list of at least two items, or None."""
    opening, inner, closing = "", normal, ""
    if normal[:1] in ("(", "[", "{") and normal[-1:] in (")", "]", "}"):
        opening, inner, closing = normal[0], normal[1:-1], normal[-1]
    items = _SEPARATOR.split(inner)
    if len(items) < 2 or not all(items) or _unbalanced(items):
        return None
    return opening + closing, items


def _unbalanced(items: list[str]) -> bool:
    return any(item.count(a) != item.count(b) for item in items for a, b in ("()", "[]", "{}"))


def _named(normal: str) -> tuple[str, str]:
    """Split ``x=4`` into name and value; the name is empty where there is none."""
    match = _NAME.match(normal)
    if not match or "," in normal or ";" in normal:
        return "", normal
    return match[1], normal[match.end() :]


def _last_side(normal: str) -> str:
    """Return what a chain of equalities like ``3+2=5`` comes to."""
    side = re.split(r"(?<![<>!=])=(?!=)", normal)[-1]
    return normal if not side or re.search("[,;]", normal) or _unbalanced([side]) else side


def _key(normal: str) -> str:
    text = _named(normal)[1].rstrip("%")
    value = number(text)
    if value is not None:
        return str(value)
    items = _items(text)
    if items is None:
        return text
    brackets, parts = items
    return brackets[:1] + ",".join(map(_key, parts)) + brackets[1:]
