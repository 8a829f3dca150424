r"""Decide whether two bare answers are equal where that needs no computer algebra.

Numbers are compared as exact fractions, never as floats, and two plain numbers are always
decided. The rules for what is not arithmetic:

- A currency, a unit or a degree sign says what is counted and does not change the number.
- Two quantities are compared with their units: ``5 km/h`` is not ``5 m/s``, nor ``5 km``; a rate
  such as *per week* counts where both sides have one.
- A percent sign on one side only may be read both ways: ``25\%`` is 25, and it is 1/4.
- ``x = 4`` is 4, and so is ``3 + 1 = 4``, which algebra checks; ``2x = 4`` has no value. An
  answer ``m+n = 204`` is 204, a gold one is an equation.
- Two answers with one name each have to agree in it: ``x = 4`` is not ``y = 4``.
- A comma within a number separates thousands; with a space behind it, it separates items.
- Bare lists and ``\{...\}`` have no order; tuples and intervals do.
- A decimal of six or more digits stands for the unending value that it rounds.
- ``1110_4`` is ``1110``, which the question says to be in base 4, but not ``1110_5``.
- ``4:30`` is ``4:30 p.m.``, which is not ``4:30 a.m.``
- ``20-30`` is a range and has no value.

What is left needs algebra: ``resources.grading`` asks a symbolic worker.
"""

import re
from fractions import Fraction

from shepherd.answer_forms import (
    Choice,
    choice,
    clock,
    number_range,
    opposite_words,
    same_dates,
    same_remainders,
    same_residues,
    same_time,
    selections,
)
from shepherd.measures import agree, in_common_units, is_compound, quantity, with_one_meaning
from shepherd.number_words import mixed_number, short_scale
from shepherd.numbers import number
from shepherd.plain_comparison import Comparison, compare_numbers, compare_readings, key
from shepherd.plain_text import MAX_LENGTH
from shepherd.readings import Reading, read_answer

GRADING_VERSION = "4"
"""Part of the code versions of all graded tables. Change it when answers get other verdicts."""

_CLOCK_LIKE = re.compile(r"\d{1,2}:\d\d")
_INEQUALITY = re.compile(r"[<>]|\\(?:le|ge)(?![A-Za-z])")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in)(?![A-Za-z])")
_JOINT = re.compile(r"(?<![A-Za-z\\])(and|or)(?![A-Za-z])")
_MEMBERSHIP = re.compile(r"\\in(?![A-Za-z]) ?[(\[]([^()\[\]]*)[)\]]")
_VARIABLE = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_RADIANS = re.compile(r"(?<![A-Za-z])rad(?:ian)?s?(?![A-Za-z])")
_DEGREES = re.compile(r"\\circ(?![A-Za-z])|°|\\degree|\bdegrees?\b")
_LETTER_UNIT = re.compile(r"([-+]?[\d.,/ ]*\d) ?[mgshL]")
_THOUSANDS = re.compile(r"([-+]?[\d.,]*\d)k")
_CONDITION_WORDS = re.compile(
    r"^[ ,(]*(?:(?:for|if|where|whenever|when|with|provided|given|assuming|such that|as long as|all"
    r"|any|every|some|each|that)\b ?)*|[ )]+$"
)
_TURNED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
_ONE_INEQUALITY = re.compile(r"([^<>\\]+)(<|>|\\(?:le|ge)(?![A-Za-z])) ?([A-Za-z])")


def compare(gold: str, answer: str) -> Comparison:
    """Compare two bare answers; a question of algebra is left undecided.

    Answers of more than ``MAX_LENGTH`` characters are equal only as texts.
    """
    if max(len(gold), len(answer)) > MAX_LENGTH:
        return "equal" if gold.strip() == answer.strip() else "different"
    left, right = read_answer(gold), read_answer(answer)
    if not (_is_plain_number(left) and _is_plain_number(right)):
        if ("rad" in gold or "rad" in answer) and _differ_in_unit_of_angles(gold, answer):
            return _compare_angles(left, right)
        by_form = _compare_forms(left, right)
        if by_form is not None:
            return by_form
    return compare_readings(left, right)


def _is_plain_number(reading: Reading) -> bool:
    """Say whether an answer is a number without unit, condition or words."""
    return reading.value is not None and reading.words == reading.normal and not reading.condition


def _differ_in_unit_of_angles(gold: str, answer: str) -> bool:
    """Say whether one answer is in radians, and the other in degrees."""
    radians, degrees = (
        [unit.search(text) is not None for text in (gold, answer)] for unit in (_RADIANS, _DEGREES)
    )
    return radians[0] != radians[1] and degrees == radians[::-1]


def _compare_angles(left: Reading, right: Reading) -> Comparison:
    """Compare radians with degrees: two rationals are equal at 0 only."""
    if left.value is None or right.value is None:
        return compare_readings(left, right)
    return "equal" if left.value == right.value == 0 else "different"


def answer_key(answer: str) -> str:
    """Return a key for voting: plain answers that are equal share it.

    Names, units and the percent sign are dropped; items keep their order. Answers that need
    algebra to be found equal keep different keys.
    """
    if len(answer) > MAX_LENGTH:
        return answer.strip()
    reading = read_answer(answer)
    return key(reading.normal) if reading.value is None else str(reading.value)


def _compare_forms(left: Reading, right: Reading) -> Comparison | None:
    """Compare quantities, choices, times, dates and ranges; None where none of them is."""
    if opposite_words(left.words, right.words):
        return "different"
    quantities = _compare_quantities(left.words, right.words)
    if quantities is not None:
        return quantities
    for same in (same_remainders, same_residues, same_dates):
        decided = same(left.words, right.words)
        if decided is not None:
            return "equal" if decided else "different"
    if _differ_in_condition(left, right):
        return "different"
    if left.value is not None and right.value is not None:
        return None
    return _compare_one_form(left, right)


def _compare_one_form(left: Reading, right: Reading) -> Comparison | None:
    """Compare ranges, times, inequalities, numbers and choices, of which one is no number."""
    decided = _compare_ranges(left, right) or _compare_times(left, right)
    if decided is None and _differ_in_joint(left, right):
        return "different"
    return decided or _compare_with_number(left, right) or _compare_choices(left, right)


def _compare_quantities(left: str, right: str) -> Comparison | None:
    """Compare two quantities; None where one is none, or where the numbers alone decide."""
    first, second = map(quantity, with_one_meaning(left, right))
    if first is None or second is None:
        return "different" if is_compound(left) or is_compound(right) else None
    if first.name and second.name and first.name != second.name:
        return "different"
    first, second = in_common_units(first, second)
    if not agree(first, second):
        return None if first.is_letter or second.is_letter else "different"
    if (first.has_noun or second.has_noun) and (
        first.dimension != second.dimension or first.scale == second.scale
    ):
        return None
    values = [side.value * side.scale for side in (first, second) if side.value is not None]
    if len(values) == 2 and values[0] == values[1]:
        return "equal"
    return None if first.scale == second.scale else "different"


def _compare_ranges(left: Reading, right: Reading) -> Comparison | None:
    ranges = [number_range(side.words, side.normal) for side in (left, right)]
    if not any(ends and ends.is_certain for ends in ranges):
        return None
    first, second = ranges
    return "equal" if first and second and first.ends == second.ends else "different"


def _compare_times(left: Reading, right: Reading) -> Comparison | None:
    first, second = clock(left.words), clock(right.words)
    if first is not None and second is not None:
        return "equal" if same_time(first, second) else "different"
    one_is_time = first is not None or second is not None
    both_look_so = _CLOCK_LIKE.fullmatch(left.words) and _CLOCK_LIKE.fullmatch(right.words)
    return "different" if one_is_time and both_look_so else None


def _differ_in_condition(left: Reading, right: Reading) -> bool:
    """Say whether both answers have a condition with a relation, and not the same one."""
    conditions = [_bare_condition(side.condition) for side in (left, right)]
    return conditions[0] != conditions[1] and all(map(_RELATION.search, conditions))


def _bare_condition(condition: str) -> str:
    r"""Return ``x>0`` for ``for all x > 0`` and for ``if 0 < x``."""
    bare = _CONDITION_WORDS.sub("", condition).replace(" ", "")
    turned = _ONE_INEQUALITY.fullmatch(bare)
    return f"{turned[3]}{_TURNED[turned[2]]}{turned[1]}" if turned else bare


def _differ_in_joint(left: Reading, right: Reading) -> bool:
    """Say whether inequalities are joined by *or* on one side, and by *and* on the other."""
    joints = [_joints(side.words) for side in (left, right)]
    return sorted(joints) == ["and", "or"]


def _joints(words: str) -> str:
    r"""Return how inequalities and memberships in intervals are joined.

    A chain such as ``1<x<5`` and a bounded interval join their two bounds by *and*, a union joins
    its intervals by *or*. A comma joins by *and* where the variables differ, else by either.
    """
    intervals = _MEMBERSHIP.findall(words)
    num_inequalities = len(_INEQUALITY.findall(words))
    if not intervals and not num_inequalities:
        return ""
    joints = set(_JOINT.findall(words)) or ({"or"} if "\\cup" in words else set())
    relations = _MEMBERSHIP.sub("", words)
    if joints or "," in relations:
        return "".join(joints) or ("and" if len(set(_VARIABLE.findall(relations))) > 1 else "")
    if "|" in relations or "^" in relations:
        # 1 < |z| < 2 are two intervals.
        return ""
    is_bounded = len(intervals) == 1 and "inf" not in intervals[0]
    return "and" if is_bounded or num_inequalities == 2 else ""


def _compare_with_number(left: Reading, right: Reading) -> Comparison | None:
    """Compare a number with what is one beside it: ``5K``, ``2 and 1/2``, ``5m``, ``C(5,2)``.

    The letter of ``5m`` or ``5k`` counts so in an answer alone: in a gold answer it is a variable.
    """
    if left.value is None and right.value is None:
        first, second = (_thousands(side.normal.lower()) for side in (left, right))
        return "equal" if first is not None and first == second else None
    if left.value is not None and right.value is not None:
        return None
    words = right.words if right.value is None else left.words
    value = short_scale(words) or mixed_number(words) or selections(words)
    if value is None and right.value is None:
        value = _letter_value(right.normal)
    if value is None:
        return None
    if left.value is None:
        return compare_numbers(str(value), value, right.normal, right.value or Fraction(0))
    return compare_numbers(left.normal, left.value, str(value), value)


def _letter_value(normal: str) -> Fraction | None:
    measure = _LETTER_UNIT.fullmatch(normal)
    if measure:
        return number(measure[1])
    return _thousands(normal)


def _thousands(normal: str) -> Fraction | None:
    thousands = _THOUSANDS.fullmatch(normal)
    value = number(thousands[1]) if thousands else None
    return None if value is None else 1000 * value


def _compare_choices(left: Reading, right: Reading) -> Comparison | None:
    first, second = choice(left.words), choice(right.words)
    if first is not None and second is not None and not (first.is_bare and second.is_bare):
        if _is_constant(first, left.words, second) or _is_constant(second, right.words, first):
            return "different"
        return "equal" if first.letter.lower() == second.letter.lower() else "different"
    if first is not None and second is None and first.text:
        return compare_readings(read_answer(first.text), right)
    if second is not None and first is None and second.text:
        return compare_readings(left, read_answer(second.text))
    return None


def _is_constant(letter: Choice, words: str, other: Choice) -> bool:
    """Say whether a small letter is a number, as ``e`` beside ``(E) 3``."""
    return letter.is_bare and words in ("e", "i") and other.text != ""
