"""Compare what needs no form of its own: numbers, lists and texts, without computer algebra."""

import re
from fractions import Fraction
from typing import Literal

from shepherd.answer_forms import are_numbers_in_a_row, has_words, is_name
from shepherd.numbers import ends, number
from shepherd.readings import SEPARATOR, Reading
from shepherd.units import is_counted

Comparison = Literal["equal", "rounded", "different", "undecided"]
"""``rounded``: equal by the rule on decimals; ``undecided``: algebra has to decide."""

_NAME = re.compile(r"([A-Za-z]+(?:_\{?\w+\}?)?'*)(?:\([a-z]\))?=(?=[^=])")
_NAME_OF_CHAIN = re.compile(
    r"[A-Za-z][A-Za-z ]*(?:_\{?\w+\}?|\^\{-1\})?'*(?:\([A-Za-z](?:,[A-Za-z])*\))?"
    r"|[A-Z]'?(?:\\(?:cap|cup|setminus)[A-Z]'?)+"
)
_BASED = re.compile(r"-?\d+(?:_(?:\{\d+\}|\d))?")
_COUNTED = re.compile(r"(-?\d+(?:\.\d+)?)([A-Za-z]{3,}(?: [A-Za-z]{2,}){0,5})")


def compare_readings(left: Reading, right: Reading) -> Comparison:
    """Compare values, lists and texts."""
    if left.value is not None and right.value is not None:
        return compare_numbers(left.normal, left.value, right.normal, right.value)
    comparison = _compare_normal(left.normal, right.normal)
    if comparison == "undecided" and (_is_text(left.normal) or _is_text(right.normal)):
        return "different"
    return comparison


def _is_text(normal: str) -> bool:
    """Say whether an answer is a name or has words: its parts are no product."""
    return is_name(normal) or has_words(normal) or are_numbers_in_a_row(normal)


def _compare_normal(left: str, right: str) -> Comparison:
    (name, left), (other_name, right) = _named(left), _named(right)
    if name and other_name and name != other_name:
        return "undecided"
    if "=" in right and "=" not in left:
        right = _last_side(right)
    elif "=" in left and "=" not in right:
        left = _last_side(left)
    if _same_text(left, right):
        return "equal"
    counted = _compare_counted(left, right)
    if counted is not None:
        return counted
    first, second = number(left.rstrip("%")), number(right.rstrip("%"))
    if first is not None and second is not None:
        return compare_numbers(left, first, right, second)
    if _BASED.fullmatch(left) and _BASED.fullmatch(right):
        return _compare_bases(left, right)
    return _compare_lists(left, right)


def _same_text(left: str, right: str) -> bool:
    """Say whether the texts are the same and not empty; a word may be in either case."""
    is_word = _is_text(left) or (left.replace(" ", "").isalpha() and len(left) > 1)
    return left != "" and (left == right or (is_word and left.casefold() == right.casefold()))


def compare_numbers(left: str, first: Fraction, right: str, second: Fraction) -> Comparison:
    """Compare the values of two texts, of which one may be a percentage or a rounded decimal."""
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
    if not decimals.isdigit() or len(digits) < 6 or ends(exact):
        return False
    return abs(value - exact) < Fraction(1, 10 ** len(decimals))


def _compare_bases(left: str, right: str) -> Comparison:
    (digits, _, base), (other_digits, _, other_base) = left.partition("_"), right.partition("_")
    agree = base.strip("{}") == other_base.strip("{}") or not base or not other_base
    return "equal" if digits == other_digits and agree else "different"


def _compare_counted(left: str, right: str) -> Comparison | None:
    """Compare counted nouns such as ``3red``; a bare number agrees with any noun."""
    first, second = _COUNTED.fullmatch(left), _COUNTED.fullmatch(right)
    counted = [match for match in (first, second) if match]
    if not counted or not all(is_counted(word) for match in counted for word in match[2].split()):
        return None
    if first and second:
        same = first[2].rstrip("s") == second[2].rstrip("s") and number(first[1]) == number(
            second[1]
        )
        return "equal" if same else "different"
    value = number(right if first else left) if has_words(counted[0][2]) else None
    if value is None:
        return None
    return "equal" if number(counted[0][1]) == value else "different"


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
    names, other_names = ([_named(item)[0] for item in side] for side in (items, others))
    by_name = all(names) and sorted(names) == sorted(other_names)
    if _are_other_variables(names, other_names):
        return "different"
    if by_name:
        items, others = sorted(items), sorted(others)
    results = {_compare_normal(mine, theirs) for mine, theirs in zip(items, others, strict=True)}
    if results == {"equal"} and _one_order(brackets, other_brackets):
        return "equal"
    ordered = by_name or (brackets in _ORDERED and other_brackets in _ORDERED)
    if not ordered and sorted(map(key, items)) == sorted(map(key, others)):
        return "undecided" if brackets != other_brackets else "equal"
    return "different" if plain and (ordered or brackets == other_brackets) else "undecided"


def _are_other_variables(names: list[str], other_names: list[str]) -> bool:
    """Say whether all items have letters for names, and not the same: ``x=1,y=2``, ``a=1,b=2``."""
    are_letters = all(len(name) == 1 for name in names + other_names)
    return are_letters and set(map(str.casefold, names)) != set(map(str.casefold, other_names))


_ORDERED = ("()", "[]", "(]", "[)")


def _one_order(brackets: str, other_brackets: str) -> bool:
    """Say whether the brackets mean the same: a bare list may be any but an interval."""
    return brackets == other_brackets or {brackets, other_brackets} <= {"", "()", "{}"}


def _items(normal: str) -> tuple[str, list[str]] | None:
    """Return the brackets and the items of a flat list of at least two items, or None."""
    if number(normal) is not None:
        return None
    opening, inner, closing = "", normal, ""
    if normal[:1] in ("(", "[", "{") and normal[-1:] in (")", "]", "}"):
        opening, inner, closing = normal[0], normal[1:-1], normal[-1]
    items = SEPARATOR.split(inner)
    if len(items) < 2 or not all(items) or _unbalanced(items):
        return None
    if opening + closing == "{}":
        items = list({key(item): item for item in items}.values())
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
    """Return what a chain of equalities that begins with a name comes to: ``f(x,y)=x+y=5``.

    An equation such as ``2x=4`` has no value, and algebra decides on ``3+2=5``.
    """
    first, *sides = re.split(r"(?<![<>!=])=(?!=)", normal)
    last = sides[-1] if sides else ""
    is_list = re.search("[,;]", normal.removeprefix(first)) is not None
    if not last or is_list or _unbalanced([last]) or not _NAME_OF_CHAIN.fullmatch(first):
        return normal
    return last


def key(normal: str) -> str:
    """Return a text that plain answers share if they are equal and in one order."""
    text = _named(normal)[1].rstrip("%")
    value = number(text)
    if value is not None:
        return str(value)
    items = _items(text)
    if items is None:
        return text
    brackets, parts = items
    return brackets[:1] + ",".join(map(key, parts)) + brackets[1:]
