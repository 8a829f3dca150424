r"""Read quantities with their units: ``5 ft 6 in``, ``18 km/h``, ``25 cm^2``, ``$5 per hour``.

A unit is a product of powers of dimensions with a scale, so that ``1 m^2`` is ``10000 cm^2`` and
neither ``1 m`` nor ``10000 cm``. A noun that is no unit (``60 beats per minute``) agrees with any
unit in its place.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from shepherd.number_words import number_in_words
from shepherd.numbers import number
from shepherd.units import is_counted

Dimension = tuple[tuple[str, int], ...]
"""Base dimensions with their powers, in order of their names: ``(("length", 1), ("time", -1))``."""
_Unit = tuple[dict[str, int], Fraction]
"""Powers by base dimension, and how many base units one unit is worth."""

_TABLE = {
    "length": """nm nanometer nanometre 1/1000000000; mm millimeter millimetre 1/1000;
        cm centimeter centimetre 1/100; dm decimeter decimetre 1/10; m meter metre 1;
        km kilometer kilometre 1000; in inch inche 127/5000; ft foot feet 381/1250;
        yd yard 1143/1250; mi mile 201168/125""",
    "length^2": "hectare 10000; acre 316160658/78125",
    "length^3": """ml milliliter millilitre cc 1/1000000; cl 1/100000; dl 1/10000;
        l L liter litre 1/1000; gallon gal 473176473/125000000000;
        quart qt 473176473/500000000000; pint 473176473/1000000000000;
        cup 473176473/2000000000000""",
    "time": """second sec s 1; minute min 60; hour hr h 3600; day 86400; week wk 604800;
        millisecond ms 1/1000""",
    "months": "month 1; year yr 12",
    "mass": """mg milligram 1/1000; g gram gm 1; kg kilogram kilo 1000; tonne 1000000;
        oz ounce 45359237/1600000; lb pound 45359237/100000; ton 45359237/50""",
    "angle": "degree 1",
    "radians": "radian rad 1",
    "celsius": "C celsius 1",
    "fahrenheit": "F fahrenheit 1",
    "kelvin": "K kelvin 1",
    "force": "N newton 1; kN 1000",
    "energy": "J joule 1; kj kilojoule 1000; kwh 3600000",
    "power": "W watt 1; kw kilowatt 1000",
    "voltage": "V volt 1",
    "current": "A amp ampere 1",
    "frequency": "hz hertz 1; khz 1000; mhz 1000000",
    "bytes": "byte 1; kb kilobyte 1000; mb megabyte 1000000; gb gigabyte 1000000000",
    "dollars": "dollar usd 1; cent 1/100",
    "euros": "euro eur 1",
    "rupees": "rupee inr 1",
    "yen": "yen jpy 1",
    "yuan": "yuan cny rmb 1",
}
"""Units by dimension: names, then how many base units each is worth."""
_SHORT_RATES = {"mph": "mile/hour", "kph": "km/hour", "kmph": "km/hour", "kmh": "km/hour"}
_SIGNS = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee"}


def _units() -> dict[str, _Unit]:
    units: dict[str, _Unit] = {}
    for dimension, table in _TABLE.items():
        base, _, power = dimension.partition("^")
        for row in table.split(";"):
            *names, scale = row.split()
            for name in names:
                unit = {base: int(power or 1)}, Fraction(scale)
                units[name] = unit
                if len(name) > 1:
                    units[f"{name}s"] = unit
    return units


_UNITS = _units()
_NOUN = "?"
"""The dimension of a noun that is no unit: it agrees with any."""
_NUMBER = r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?"
_AMOUNT = re.compile(r"(?P<minus>-?) ?(?:US)?(?P<sign>[$€£¥₹]) ?(?P<value>[-\d.].*)", re.DOTALL)
_NAMED = re.compile(r"[A-Za-z](?:_\w)? ?= ?(?=[-+$\d\\])")
_TERM = (
    r"(?:(?:square|sq\.?|cubic|cu\.?) )?[A-Za-z]+\.?"
    r"(?:\^(?:\{-?\d\}|-?\d)|(?<=m)[23]\b| squared| cubed)?"
)
_UNIT_AT_END = re.compile(
    rf"(?P<value>.*(?:[\d)}}]|\d\.|\\pi))(?P<space> ?)(?P<unit>(?:(?:/|per|an?\b) ?)?{_TERM}"
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
_MOST_NOUNS = 4
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
    is_letter: bool
    """The unit is one letter that stands right behind the number, and may be a variable."""

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
    text = _NAMED.sub("", words.replace("¢", " cents"), count=1)
    text = _FEET.sub(r"\1 ft \2 in", text)
    if _COMPOUND.fullmatch(text):
        return _compound(text)
    amount = _AMOUNT.fullmatch(text)
    unit_of_sign = _UNITS[_SIGNS[amount["sign"]]] if amount else ({}, Fraction(1))
    value = amount["minus"] + amount["value"] if amount else text
    match = _UNIT_AT_END.fullmatch(value)
    unit = _unit(match["unit"]) if match else None
    if match is None or unit is None or not _is_unit(match, unit):
        return _quantity(value, *unit_of_sign) if amount and number(value) is not None else None
    powers = {
        base: unit_of_sign[0].get(base, 0) + unit[0].get(base, 0)
        for base in {*unit_of_sign[0], *unit[0]}
    }
    is_letter = not match["space"] and len(match["unit"]) == 1
    return _quantity(match["value"], powers, unit_of_sign[1] * unit[1], is_letter=is_letter)


def is_compound(text: str) -> bool:
    """Say whether a text is a quantity of several parts, such as ``3 hours 20 minutes``."""
    return _COMPOUND.fullmatch(text) is not None and _compound(text) is not None


def with_figures(words: str) -> str:
    """Return ``5 apples`` for ``five apples``: figures for a number in words before what it counts.

    Other texts stay as they are.
    """
    names = words.split(" ")
    if len(words) > _LONGEST or not words[:1].isalpha():
        return words
    for num_nouns in range(1, min(_MOST_NOUNS, len(names) - 1) + 1):
        number_part, nouns = " ".join(names[:-num_nouns]), names[-num_nouns:]
        if not all(noun.isalpha() and len(noun) > 1 and is_counted(noun) for noun in nouns):
            break
        value = number_in_words(number_part)
        if value is not None:
            return " ".join([str(value), *nouns])
    return words


def agree(first: Quantity, second: Quantity) -> bool:
    """Say whether two quantities have the same dimension, where a noun agrees with any unit."""
    left, right = dict(first.dimension), dict(second.dimension)
    rest = [(base, power) for base, power in left.items() if right.get(base) != power]
    other = [(base, power) for base, power in right.items() if left.get(base) != power]
    if not rest and not other:
        return True
    is_noun = _NOUN in (base for base, _ in [*rest, *other])
    return is_noun and [power for _, power in rest] == [power for _, power in other]


def _quantity(
    text: str, powers: dict[str, int], scale: Fraction, *, is_letter: bool = False
) -> Quantity:
    dimension = tuple(sorted((base, power) for base, power in powers.items() if power))
    return Quantity(text, number(text.replace(" ", "")), dimension, scale, is_letter)


def _is_unit(match: re.Match[str], unit: _Unit) -> bool:
    """Say whether a unit stands apart from its number, or is one that may be glued to it."""
    return match["space"] != "" or match["unit"][0] == "/" or _NOUN not in unit[0]


def _unit(text: str) -> _Unit | None:
    """Return the unit that a text such as ``kg/m^3`` or ``miles per hour`` names."""
    powers: dict[str, int] = {}
    scale = Fraction(1)
    parts = list(_parts(text))
    for part, sign in parts:
        named = _named_unit(part["name"])
        is_product = part["joint"] is not None and not _divides(part["joint"])
        if named is None or (is_product and (_NOUN in named[0] or _NOUN in powers)):
            return None
        power = sign * _power(part)
        for base, count in named[0].items():
            powers[base] = powers.get(base, 0) + count * power
        scale *= named[1] ** power
    return powers, scale


def _parts(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield the names of a unit, with -1 for those that divide."""
    for name, spelled in _SHORT_RATES.items():
        text = re.sub(rf"\b{name}\b", spelled, text, flags=re.IGNORECASE)
    for part in _PARTS_OF_UNIT.finditer(text):
        yield part, -1 if part["joint"] and _divides(part["joint"]) else 1


def _divides(joint: str) -> bool:
    return joint.strip() in ("/", "per", "a", "an")


def _power(part: re.Match[str]) -> int:
    spelled = 2 if part["square"] or part["squared"] else 3 if part["cubic"] or part["cubed"] else 1
    return spelled * int(part["power"] or part["digit"] or 1)


def _named_unit(name: str) -> _Unit | None:
    """Return a unit of the table, or that of a noun; None for a word that counts nothing."""
    known = _UNITS.get(name) or (_UNITS.get(name.lower()) if len(name) > 1 else None)
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
    return Quantity(text, total, tuple(units[0][0].items()), Fraction(1), is_letter=False)
