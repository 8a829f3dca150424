r"""Read quantities with their units: ``5 ft 6 in``, ``18 km/h``, ``25 cm^2``, ``$5 per hour``.

A unit is a product of powers of dimensions with a scale, so that ``1 m^2`` is ``10000 cm^2`` and
neither ``1 m`` nor ``10000 cm``. A noun that is no unit (``60 beats per minute``) agrees with any
unit in its place. What an amount of money or a measured length is about is dropped: ``$18 left``,
``5 feet tall``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from shepherd.numbers import number
from shepherd.unit_table import (
    CURRENCIES,
    PHYSICAL,
    SHORT_RATES,
    SIGNS,
    TAIL,
    TEMPERATURES,
    UNITS,
    Unit,
)
from shepherd.units import is_counted

Dimension = tuple[tuple[str, int], ...]
"""Base dimensions with their powers, in order of their names: ``(("length", 1), ("time", -1))``."""
_NOUN = "?"
"""The dimension of a noun that is no unit: it agrees with any."""
_NUMBER = r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?"
_AMOUNT = re.compile(r"(?P<minus>-?) ?(?:US)?(?P<sign>[$€£¥₹]) ?(?P<value>[-\d.].*)", re.DOTALL)
_NAMED = re.compile(r"(?P<name>[A-Za-z]{1,15}(?:_\{?\w\}?)?'*) ?= ?(?=[-+$€£¥₹\d\\.])")
_IN_A_MEASURE = re.compile(r" in (?=(?:total|all|length|height|width|depth)\b)")
_DEGREES_OF = re.compile(
    r"\bdegrees? (?=(?:[CFK]|celsius|centigrade|fahrenheit|kelvin)\b)", re.IGNORECASE
)
_TERM = (
    r"(?:(?:square|sq\.?|cubic|cu\.?) )?[A-Za-z]+\.?"
    r"(?:\^(?:\{-?\d\}|-?\d)|(?<=m)[23]\b| squared| cubed)?"
)
_UNIT_AT_END = re.compile(
    # The letter of 2x cm is a variable.
    r"(?P<value>.*(?:\d[a-z](?= )|[\d)}]|\d\.|\\pi))(?P<space> ?)"
    rf"(?P<unit>(?:(?:/|per|an?\b) ?)?{_TERM}"
    rf"(?:(?: ?/ ?| per | an? | ?\* ?| ?\\cdot ?|[ -]){_TERM}){{0,3}})",
    re.DOTALL,
)
_PARTS_OF_UNIT = re.compile(
    r"(?P<joint> ?/ ?| ?\bper | ?\ban? | ?\* ?| ?\\cdot ?|[ -])?"
    r"(?:(?P<square>square|sq\.?) |(?P<cubic>cubic|cu\.?) )?(?P<name>[A-Za-z]+)\.?"
    r"(?:\^\{?(?P<power>-?\d)\}?|(?P<digit>(?<=m)[23]\b)|(?P<squared> squared)|(?P<cubed> cubed))?"
)
_COMPOUND = re.compile(
    r"(?: ?(?:,|and|,? and)? ?(?:\d+(?:\.\d+)?|\d+/[1-9]\d*) ?[A-Za-z]{1,12}\.?){2,4}"
)
_PART = re.compile(r"(\d+(?:\.\d+)?(?:/[1-9]\d*)?) ?([A-Za-z]+)\.?")
_FEET = re.compile(r"(\d+)' ?(\d+(?:\.\d+)?)(?:\"|'')")
_LONGEST_NAME = 3
_LONGEST = 100
"""Characters past which an answer is no quantity."""


@dataclass(frozen=True)
class Quantity:
    """A value with its unit."""

    text: str
    """The value as it is written."""
    value: Fraction | None
    """The value, where it is a plain number."""
    dimension: Dimension
    scale: Fraction
    """How many base units the unit is worth."""
    over: tuple[Dimension, Fraction]
    """Dimension and scale of the unit without what divides it."""
    under: frozenset[str]
    """Base dimensions of what divides the unit."""
    is_letter: bool
    """The unit is one letter, or two capitals, right behind the number: it may be variables."""
    name: str = ""
    """The letters before the equals sign, as in ``AB = 5 cm``; words such as *cost* are no name."""

    @property
    def has_noun(self) -> bool:
        """Whether a noun that is no unit is counted."""
        return any(base == _NOUN for base, _ in self.dimension)


@lru_cache(maxsize=2**12)
def quantity(words: str) -> Quantity | None:
    """Return the quantity that an answer names, else None.

    It has one part (``50 cents``, ``$5 per hour``) or several of one dimension (``5 ft 6 in``).
    """
    if len(words) > _LONGEST:
        return None
    named = _NAMED.match(words)
    text = (words[named.end() :] if named else words).replace("¢", " cents")
    text = _IN_A_MEASURE.sub(" ", _DEGREES_OF.sub("", _FEET.sub(r"\1 ft \2 in", text)))
    found = _compound(text) if _COMPOUND.fullmatch(text) else _simple(text)
    if found is None or named is None or len(named["name"].partition("_")[0]) > _LONGEST_NAME:
        return found
    return replace(found, name=named["name"])


def _simple(text: str) -> Quantity | None:
    """Return a quantity of one part."""
    amount = _AMOUNT.fullmatch(text)
    currency = SIGNS[amount["sign"]] if amount else ""
    value = amount["minus"] + amount["value"] if amount else text
    match = _UNIT_AT_END.fullmatch(value)
    parts = _parts_of_unit(match["unit"], currency) if match else None
    if match is None or not parts or not _is_unit(match, parts):
        is_number = amount is not None and _number(value) is not None
        return _quantity(value, [(UNITS[currency], 1)]) if is_number else None
    unit = match["unit"]
    is_letter = not match["space"] and (len(unit) == 1 or (len(unit) == 2 and unit.isupper()))
    return _quantity(match["value"], parts, is_letter=is_letter)


def is_compound(text: str) -> bool:
    """Say whether a text is a quantity of several parts, such as ``3 hours 20 minutes``."""
    return _COMPOUND.fullmatch(text) is not None and _compound(text) is not None


def with_one_meaning(left: str, right: str) -> tuple[str, str]:
    """Return two answers with words of currencies that mean the sign of the other answer.

    Beside ``£5``, 5 pounds are money; ``¥`` stands for the yen and for the yuan.
    """
    texts = [left, right]
    for index, other in ((0, right), (1, left)):
        for sign, words, name in _MEANINGS:
            if sign in other and sign not in texts[index]:
                texts[index] = words.sub(name, texts[index])
    return texts[0], texts[1]


_MEANINGS = (
    ("£", re.compile(r"\bpounds?\b(?! ?(?:of|force))", re.IGNORECASE), "gbp"),
    ("¥", re.compile(r"\b(?:yuan|cny|rmb)\b", re.IGNORECASE), "yen"),
)


def in_common_units(first: Quantity, second: Quantity) -> tuple[Quantity, Quantity]:
    """Return two quantities without what one of them alone names: *per week*, *Celsius*."""
    if first.under and not second.under:
        first = _without_rate(first)
    elif second.under and not first.under:
        second = _without_rate(second)
    bases = [{base for base, _ in side.dimension} for side in (first, second)]
    if bases[0] == {"angle"} and bases[1] and bases[1] <= TEMPERATURES:
        first = replace(first, dimension=second.dimension)
    elif bases[1] == {"angle"} and bases[0] and bases[0] <= TEMPERATURES:
        second = replace(second, dimension=first.dimension)
    return first, second


def _without_rate(side: Quantity) -> Quantity:
    """Return ``6 hours`` for ``6 hours per week``; a speed and a density stay what they are."""
    dimension, scale = side.over
    bases = {base for base, _ in dimension}
    is_speed = dimension == (("length", 1),) or bases & PHYSICAL
    over_time = side.under <= {"time", "months", _NOUN} and not is_speed
    if not bases or not (bases & CURRENCIES or side.under == {_NOUN} or over_time):
        return side
    return replace(side, dimension=dimension, scale=scale, under=frozenset())


def agree(first: Quantity, second: Quantity) -> bool:
    """Say whether two quantities have the same dimension, where a noun agrees with any unit."""
    left, right = dict(first.dimension), dict(second.dimension)
    rest = [(base, power) for base, power in left.items() if right.get(base) != power]
    other = [(base, power) for base, power in right.items() if left.get(base) != power]
    if not rest and not other:
        return True
    is_noun = _NOUN in (base for base, _ in [*rest, *other])
    return is_noun and [power for _, power in rest] == [power for _, power in other]


_Parts = list[tuple[Unit, int]]
"""Units with their powers."""


def _quantity(text: str, parts: _Parts, *, is_letter: bool = False) -> Quantity:
    over = [(unit, power) for unit, power in parts if power > 0]
    under = frozenset(base for unit, power in parts if power < 0 for base in unit[0])
    dimension, scale = _product(parts)
    return Quantity(text, _number(text), dimension, scale, _product(over), under, is_letter)


def _number(text: str) -> Fraction | None:
    """Return the value of a text in which blanks part nothing but a mixed number and groups."""
    return number(_LOOSE_BLANK.sub("", text))


_LOOSE_BLANK = re.compile(r"(?<!\d) | (?!\d)")


def _product(parts: _Parts) -> tuple[Dimension, Fraction]:
    powers: dict[str, int] = {}
    scale = Fraction(1)
    for (bases, unit_scale), power in parts:
        for base, count in bases.items():
            powers[base] = powers.get(base, 0) + count * power
        scale *= unit_scale**power
    return tuple(sorted((base, power) for base, power in powers.items() if power)), scale


def _is_unit(match: re.Match[str], parts: _Parts) -> bool:
    """Say whether a unit stands apart from its number, or is one that may be glued to it."""
    is_glued = match["space"] == "" and match["unit"][0] != "/"
    return not is_glued or all(_NOUN not in bases for (bases, _), _ in parts)


def _parts_of_unit(text: str, currency: str) -> _Parts | None:
    """Return the units that a text such as ``kg/m^3`` or ``miles per hour`` multiplies.

    ``currency`` is that of a sign before the number, else empty.
    """
    units: _Parts = [(UNITS[currency], 1)] if currency else []
    in_tail = False
    for part, sign in _parts(text):
        name, divides = part["name"], sign < 0
        named = _named_unit(name)
        is_money = any(base in CURRENCIES for (bases, _), _ in units for base in bases)
        in_tail = in_tail or (bool(units) and (is_money or name.lower() in TAIL))
        if in_tail and not divides:
            is_word = len(name) > 2 or (named is not None and len(name) > 1)
            if not is_word or not (is_counted(name) or name.lower() == "than"):
                return None
            continue
        is_product = part["joint"] is not None and not divides
        has_noun = any(_NOUN in bases for (bases, _), _ in units)
        if named is None or (is_product and (_NOUN in named[0] or has_noun)):
            return None
        units.append((named, sign * _power(part)))
    return units


def _parts(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield the names of a unit, with -1 for those that divide."""
    for name, spelled in SHORT_RATES.items():
        text = re.sub(rf"\b{name}\b", spelled, text, flags=re.IGNORECASE)
    for part in _PARTS_OF_UNIT.finditer(text):
        yield part, -1 if part["joint"] and _divides(part["joint"]) else 1


def _divides(joint: str) -> bool:
    return joint.strip() in ("/", "per", "a", "an")


def _power(part: re.Match[str]) -> int:
    spelled = 2 if part["square"] or part["squared"] else 3 if part["cubic"] or part["cubed"] else 1
    return spelled * int(part["power"] or part["digit"] or 1)


def _named_unit(name: str) -> Unit | None:
    """Return a unit of the table, or that of a noun; None for a word that counts nothing."""
    known = UNITS.get(name) or (UNITS.get(name.lower()) if len(name) > 1 else None)
    if known:
        return known
    return ({_NOUN: 1}, Fraction(1)) if len(name) > 2 and is_counted(name) else None


def _compound(text: str) -> Quantity | None:
    """Return a quantity of several parts, from the largest unit to the smallest."""
    parts = [(Fraction(value), _named_unit(name)) for value, name in _PART.findall(text)]
    units = [unit for _, unit in parts if unit is not None]
    scales = [scale for _, scale in units]
    dimensions = {tuple(powers.items()) for powers, _ in units}
    if len(units) < len(parts) or len(dimensions) != 1 or _NOUN in units[0][0]:
        return None
    if scales != sorted(set(scales), reverse=True):
        return None
    total = sum(
        (value * scale for (value, _), scale in zip(parts, scales, strict=True)), Fraction(0)
    )
    base = tuple(units[0][0].items()), Fraction(1)
    return Quantity(text, total, *base, over=base, under=frozenset(), is_letter=False)
