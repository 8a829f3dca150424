r"""Drop what an answer counts (units, currencies, nouns) without dropping mathematics.

A word behind a number is a unit or a noun (``60 miles per hour``, ``5 apples``), unless it
changes the number: ``3 halves``, ``2 squared``, ``5 March``, ``12 midnight``. A single letter
glued to a number is a variable. Lengths of several parts (``5 ft 6 in``) are one quantity.
"""

import re
from fractions import Fraction

from shepherd.number_words import VALUE_WORDS

_GLUED_NAMES = (
    "mm cm km kg mg ml cl ft in lb lbs oz mph kph hr hrs min mins sec secs ms yd mi kwh hz "
    "khz mhz gb mb kb am"
)
_MATH_NAMES = (
    "pi sqrt cbrt sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp "
    "mod gcd lcm max min det abs inf infinity theta alpha beta gamma delta epsilon lambda mu "
    "phi psi omega sigma rho tau floor ceil binom frac times div"
)
_NOT_UNIT_NAMES = (
    "or plus minus divided multiplied base choose factorial remainder rem modulo am pm noon "
    "midnight january february march april may june july august september october november "
    "december north south east west if when where for not than is are root power double twice "
    "triple im re"
)

Quantity = tuple[str, Fraction]
"""A dimension and a value in its base unit: ``5 ft 6 in`` is ``("length", 1.6764)``."""

_TABLE = {
    "length": """mm millimeter millimetre 1/1000; cm centimeter centimetre 1/100;
        dm decimeter decimetre 1/10; m meter metre 1; km kilometer kilometre 1000;
        in inch inche 127/5000; ft foot feet 381/1250; yd yard 1143/1250; mi mile 201168/125""",
    "time": """second sec s 1; minute min 60; hour hr h 3600; day 86400; week wk 604800;
        millisecond ms 1/1000""",
    "mass": """mg milligram 1/1000000; g gram gm 1/1000; kg kilogram kilo 1; tonne 1000""",
    "weight": "oz ounce 1; lb lbs 16",
    "volume": "ml milliliter millilitre 1/1000; cl 1/100; l liter litre 1",
    "dollars": "dollar usd 1; cent 1/100",
    "euros": "euro eur 1",
    "rupees": "rupee inr 1",
    "yen": "yen jpy 1",
    "yuan": "yuan cny rmb 1",
}
"""Units by dimension: names, then how many base units each is worth."""


def _units() -> dict[str, Quantity]:
    units = {}
    for dimension, table in _TABLE.items():
        for row in table.split(";"):
            *names, scale = row.split()
            for name in names:
                units[name] = units[f"{name}s"] = (dimension, Fraction(scale))
    return units


UNITS = _units()
_GLUED = _GLUED_NAMES.split()
_SINGLE_LETTERS = frozenset("mgshlLNJWVAKCF")
_SIGNS = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees"}
_CODES = r"USD|EUR|GBP|JPY|CNY|RMB|INR|CAD|AUD|CHF|Rs\.?"
_SIGN = r"(?:(?:US|A|C|HK|NZ|S)?\\?\$|[€£¥₹₽₩₪₺₫]|\\pounds\b|\\euro\b)"
_FIGURE = r"(?:\d[\d,. ]*|\.\d+)"
_MONEY_FIRST = re.compile(rf"(?P<minus>-?) ?(?:{_SIGN}|\b(?:{_CODES})) ?(?=[-+.\d\\(])")
_MONEY_LAST = re.compile(rf"(?<=[\d}})]) ?(?:{_SIGN}|(?:{_CODES})\b|¢|\\cents?\b)(?![\w\\{{(])")

_NUMBER = r"[-+]?(?:[\d.,/ ]*\d\.?|[\d ]*\\frac ?\{[^{}]*\} ?\{[^{}]*\})"
_WORD = r"[A-Za-z]{2,}\.?(?:\^(?:\d|\{\d\}))?"
_UNIT = rf"(?:{_WORD}|[{''.join(sorted(_SINGLE_LETTERS))}](?:\^(?:\d|\{{\d\}}))?)"
_RAISED = r"(?:\^(?:\d|\{\d\}))?"
_PHRASE = rf"{_UNIT}(?: ?[/*] ?(?:[A-Za-z](?![A-Za-z])|{_WORD}){_RAISED}|[ -](?:{_WORD}|a\b))*"
_MEASURED = re.compile(
    rf"(?P<value>{_NUMBER}) ?(?P<unit>%|percent\b|(?<= ){_PHRASE})(?:\^\{{?\d\}}?)?"
)
_COUNTED = re.compile(rf"(?P<value>.*?(?:\d|\\[A-Za-z]).*?) (?P<unit>{_PHRASE})", re.DOTALL)
_GLUED_UNIT = re.compile(rf"(?P<value>{_NUMBER})(?P<unit>[A-Za-z]{{2,}})(?:\^(?:\d|\{{\d\}}))?")
_FOREIGN_UNIT = re.compile(rf"(?P<value>{_NUMBER}) ?(?P<unit>[^\W\d_]+(?: [^\W\d_]+){{0,5}})")
_FOREIGN_NUMBER = re.compile("[万千百亿兆億萬十半分之]")
_COMPOUND = re.compile(
    r"(?: ?(?:,|and|,? and)? ?(?:\d+(?:\.\d+)?|\d+/[1-9]\d*) ?[A-Za-z]{1,12}\.?){2,4}"
)
_PART = re.compile(r"(\d+(?:\.\d+)?(?:/[1-9]\d*)?) ?([A-Za-z]+)\.?")
_AMOUNT = re.compile(r"([$€¥₹]) ?(\d[\d,]*(?:\.\d+)?)")
_RATE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)(?: ?/ ?| per | an? )([A-Za-z]+)")
_SHORT_RATES = {"mph": "mi/h", "kph": "km/h", "kmph": "km/h", "kmh": "km/h"}
_SHORT_RATE = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(_SHORT_RATES)})(?![A-Za-z])", re.IGNORECASE)

MATH_WORDS = frozenset(_MATH_NAMES.split())
"""Words that are mathematics wherever they stand."""
_NOT_UNITS = (
    (MATH_WORDS - {"sec", "min", "mu", "times"}) | VALUE_WORDS | frozenset(_NOT_UNIT_NAMES.split())
)


def without_currency(text: str) -> str:
    """Return ``text`` without signs and codes of currencies before or behind its numbers."""
    if not any(sign in text for sign in "$€£¥₹₽₩₪₺₫¢\\") and not re.search(_CODES, text):
        return text
    return _MONEY_LAST.sub("", _MONEY_FIRST.sub(r"\g<minus>", text))


def is_counted(noun: str) -> bool:
    """Say whether a word is a unit or a noun that does not change the number before it."""
    return noun.lower() not in _NOT_UNITS


def without_unit(text: str) -> str:
    """Return ``text`` without the unit at its end; a percent sign stays."""
    foreign = _FOREIGN_UNIT.fullmatch(text) if not text.isascii() else None
    if foreign and not _FOREIGN_NUMBER.search(foreign["unit"]):
        return foreign["value"]
    for pattern in (_MEASURED, _GLUED_UNIT, _COUNTED):
        match = pattern.fullmatch(text)
        if match and _is_unit(match["unit"], glued=pattern is _GLUED_UNIT):
            if match["unit"] in ("%", "percent"):
                return match["value"] + "%"
            if pattern is not _COUNTED or not _names_something(match["value"]):
                return match["value"].rstrip()
    return text


def _is_unit(phrase: str, *, glued: bool) -> bool:
    words = re.findall(r"[A-Za-z]+", phrase)
    if any(word.lower() in _NOT_UNITS for word in words):
        return False
    if glued:
        word = words[0]
        return word.lower() in _GLUED or (len(word) > 3 and word.islower())
    return True


def _names_something(text: str) -> bool:
    r"""Return whether ``text`` holds a word, or ends in a command such as ``\angle``."""
    if re.search(r"\\(?!(?:pi|infty)$)[A-Za-z]+$", text):
        return True
    runs = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", text)
    return any(run.lower() not in MATH_WORDS for run in runs)


def quantity(text: str) -> Quantity | None:
    """Return the quantity that a text of numbers and known units names, else None.

    ``text`` may have one part (``50 cents``) or several of one dimension (``5 ft 6 in``).
    """
    text = text.replace("¢", " cents")
    money = _AMOUNT.fullmatch(text)
    if money:
        return _SIGNS[money[1]], Fraction(money[2].replace(",", ""))
    if _COMPOUND.fullmatch(text):
        parts = _PART.findall(text)
    else:
        match = _PART.fullmatch(text.replace(",", ""))
        parts = [match.groups()] if match else []
    units = [UNITS.get(name.lower(), ("", Fraction(0))) for _, name in parts]
    scales = [scale for _, scale in units]
    one_dimension = len({dimension for dimension, _ in units}) == 1 and units[0][0] != ""
    if not one_dimension or scales != sorted(set(scales), reverse=True):
        return None
    values = [Fraction(value) for value, _ in parts]
    return units[0][0], sum(
        (value * scale for value, scale in zip(values, scales, strict=True)), Fraction(0)
    )


def rate(text: str) -> Quantity | None:
    """Return the rate that a text names, such as ``5 km/h`` or ``60 miles per hour``, else None.

    Its dimension is ``length/time``, its value that in base units.
    """
    spelled = _SHORT_RATE.sub(lambda name: _SHORT_RATES[name.group().lower()], text)
    match = _RATE.fullmatch(spelled.replace(",", ""))
    over, under = (UNITS.get(match[part].lower()) for part in (2, 3)) if match else (None, None)
    if match is None or over is None or under is None:
        return None
    return f"{over[0]}/{under[0]}", Fraction(match[1]) * over[1] / under[1]


def is_compound(text: str) -> bool:
    """Say whether a text is a quantity of several parts, such as ``3 hours 20 minutes``."""
    return _COMPOUND.fullmatch(text) is not None and quantity(text) is not None
