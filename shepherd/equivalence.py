r"""Decide whether two bare answers are equal where that needs no computer algebra.

Numbers are compared as exact fractions, never as floats, and two plain numbers are always
decided. The rules for what is not arithmetic:

- A currency, a unit or a degree sign says what is counted and does not change the number.
- Two rates of known units are compared with them: ``5 km/h`` is not ``5 m/s``.
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
from typing import Literal

from shepherd.answer_forms import FORMS, choice, clock, has_words, is_name, same_time
from shepherd.numbers import ends, number
from shepherd.readings import SEPARATOR, Reading, read_answer
from shepherd.units import is_compound, is_counted, quantity, rate

Comparison = Literal["equal", "rounded", "different", "undecided"]
"""``rounded``: equal by the rule on decimals; ``undecided``: algebra has to decide."""

GRADING_VERSION = "2"
"""Part of the code versions of all graded tables. Change it when answers get other verdicts."""

_NAME = re.compile(r"([A-Za-z]+(?:_\{?\w+\}?)?)(?:\([a-z]\))?=(?=[^=])")
_BASED = re.compile(r"-?\d+(?:_(?:\{\d+\}|\d))?")
_CLOCK_LIKE = re.compile(r"\d{1,2}:\d\d")
_COUNTED = re.compile(r"(-?\d+(?:\.\d+)?)([A-Za-z]{3,})")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in)(?![A-Za-z])")
_LETTER_UNIT = re.compile(r"([-+]?[\d.,/ ]*\d) ?[mgshL]")


def compare(gold: str, answer: str) -> Comparison:
    """Compare two bare answers; a question of algebra is left undecided."""
    left, right = read_answer(gold), read_answer(answer)
    first, second = left.value, right.value
    if first is None or second is None or left.words != left.normal or right.words != right.normal:
        by_form = _compare_forms(left, right)
        if by_form is not None:
            return by_form
    return _compare_readings(left, right)


def _compare_readings(left: Reading, right: Reading) -> Comparison:
    """Compare values, lists and texts."""
    if left.value is not None and right.value is not None:
        return _compare_numbers(left.normal, left.value, right.normal, right.value)
    comparison = _compare_normal(left.normal, right.normal)
    if comparison == "undecided" and (_is_text(left.normal) or _is_text(right.normal)):
        return "different"
    return comparison


def answer_key(answer: str) -> str:
    """Return a key for voting: plain answers that are equal share it.

    Names, units and the percent sign are dropped; items keep their order. Answers that need
    algebra to be found equal keep different keys.
    """
    reading = read_answer(answer)
    return _key(reading.normal) if reading.value is None else str(reading.value)


def _compare_forms(left: Reading, right: Reading) -> Comparison | None:
    """Compare quantities, choices, times, dates and remainders; None where none of them is."""
    quantities = _compare_quantities(left.words, right.words)
    if quantities is not None:
        return quantities
    for form in FORMS:
        first, second = form(left.words), form(right.words)
        if first is not None or second is not None:
            return "equal" if first == second else "different"
    if left.value is not None and right.value is not None:
        return None
    times = _compare_times(left, right)
    if times is not None or _differ_in_condition(left, right):
        return times or "different"
    return _compare_letter_unit(left, right) or _compare_choices(left, right)


def _differ_in_condition(left: Reading, right: Reading) -> bool:
    """Say whether both answers have a condition with a relation, and not the same one."""
    conditions = {left.condition, right.condition}
    return len(conditions) == 2 and all(map(_RELATION.search, conditions))


def _compare_letter_unit(left: Reading, right: Reading) -> Comparison | None:
    """Compare a number with an answer such as ``5m``: next to a number the letter is a unit."""
    measure = _LETTER_UNIT.fullmatch(right.normal)
    value = number(measure[1]) if measure else None
    if left.value is None or measure is None or value is None:
        return None
    return _compare_numbers(left.normal, left.value, measure[1], value)


def _compare_quantities(left: str, right: str) -> Comparison | None:
    first, second = quantity(left), quantity(right)
    if first is not None and second is not None:
        if first == second:
            return "equal"
        ambiguous = _LETTER_UNIT.fullmatch(left) or _LETTER_UNIT.fullmatch(right)
        return None if ambiguous and first[0] != second[0] else "different"
    first, second = rate(left), rate(right)
    if first is not None and second is not None:
        return "equal" if first == second else "different"
    return "different" if is_compound(left) or is_compound(right) else None


def _compare_times(left: Reading, right: Reading) -> Comparison | None:
    first, second = clock(left.words), clock(right.words)
    if first is not None and second is not None:
        return "equal" if same_time(first, second) else "different"
    one_is_time = first is not None or second is not None
    both_look_so = _CLOCK_LIKE.fullmatch(left.words) and _CLOCK_LIKE.fullmatch(right.words)
    return "different" if one_is_time and both_look_so else None


def _compare_choices(left: Reading, right: Reading) -> Comparison | None:
    first, second = choice(left.words), choice(right.words)
    if first is not None and second is not None and not (first.is_bare and second.is_bare):
        return "equal" if first.letter.lower() == second.letter.lower() else "different"
    if first is not None and second is None and first.text:
        return _compare_readings(read_answer(first.text), right)
    if second is not None and first is None and second.text:
        return _compare_readings(left, read_answer(second.text))
    return None


def _is_text(normal: str) -> bool:
    """Say whether an answer is a name or has words: its letters are no product."""
    return is_name(normal) or has_words(normal)


def _compare_normal(left: str, right: str) -> Comparison:
    (name, left), (other_name, right) = _named(left), _named(right)
    if name and other_name and name != other_name:
        return "undecided"
    if "=" in right and "=" not in left:
        right = _last_side(right)
    if _same_text(left, right):
        return "equal"
    counted = _compare_counted(left, right)
    if counted is not None:
        return counted
    first, second = number(left.rstrip("%")), number(right.rstrip("%"))
    if first is not None and second is not None:
        return _compare_numbers(left, first, right, second)
    if _BASED.fullmatch(left) and _BASED.fullmatch(right):
        return _compare_bases(left, right)
    return _compare_lists(left, right)


def _same_text(left: str, right: str) -> bool:
    """Say whether the texts are the same and not empty; a word may be in either case."""
    is_word = _is_text(left) or (left.isalpha() and len(left) > 1)
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
    if not counted or not all(is_counted(match[2]) for match in counted):
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
    items = SEPARATOR.split(inner)
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
