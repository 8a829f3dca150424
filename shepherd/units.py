r"""Drop what an answer counts (units, currencies, nouns) without dropping mathematics.

A word behind a number is a unit or a noun (``60 miles per hour``, ``5 apples``), unless it
changes the number: ``3 halves``, ``2 squared``, ``5 March``, ``12 midnight``. A single letter
glued to a number is a variable.
"""

import re

from shepherd.number_words import VALUE_WORDS, number_in_words

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
    "triple im re negative dx dy dz dt du dv dr ds"
)

_GLUED = _GLUED_NAMES.split()
_SINGLE_LETTERS = frozenset("mgshlLNJWVAKCF")
_CODES = r"USD|EUR|GBP|JPY|CNY|RMB|INR|CAD|AUD|CHF|Rs\.?"
_SIGN = r"(?:(?:US|A|C|HK|NZ|S)?\\?\$|[€£¥₹₽₩₪₺₫]|\\pounds\b|\\euro\b)"
_FIGURE = r"(?:\d[\d,. ]*|\.\d+)"
_LENGTH_NAME = re.compile(r"^[A-Z]{2,3} ?= ?")
_MONEY_FIRST = re.compile(rf"(?P<minus>-?) ?(?:{_SIGN}|\b(?:{_CODES})) ?(?=[-+.\d\\(])")
_MONEY_LAST = re.compile(rf"(?<=[\d}})]) ?(?:{_SIGN}|(?:{_CODES})\b|¢|\\cents?\b)(?![\w\\{{(])")

_NUMBER = r"[-+]?(?:[\d.,/ ]*\d\.?|[\d ]*\\frac ?\{[^{}]*\} ?\{[^{}]*\})"
_WORD = r"[A-Za-z]{2,}\.?(?:\^(?:\d|\{\d\}))?"
_UNIT = rf"(?:{_WORD}|[{''.join(sorted(_SINGLE_LETTERS))}](?:\^(?:\d|\{{\d\}}))?)"
_RAISED = r"(?:\^(?:\d|\{\d\}))?"
_SCALE = r"(?:(?<=degrees )|(?<=degree ))[CFK]\b"
_PHRASE = (
    rf"{_UNIT}(?: ?[/*] ?(?:[A-Za-z](?![A-Za-z])|{_WORD}){_RAISED}|[ -](?:{_WORD}|a\b|{_SCALE}))*"
)
_MEASURED = re.compile(
    rf"(?P<value>{_NUMBER}) ?(?P<unit>%|percent\b|(?<= ){_PHRASE})(?:\^\{{?\d\}}?)?"
)
_COUNTED = re.compile(
    rf"(?P<value>.*?(?:\d|\\[A-Za-z]).*?)(?<![-+*/^=<>(\[{{,;|])(?<!\\pm)(?<!\\mp)(?<!\\cdot)"
    rf"(?<!\\times)(?<!\\div) (?P<unit>{_PHRASE})",
    re.DOTALL,
)
"""A letter behind an operator is no unit: *x + m* is a sum."""
_GLUED_UNIT = re.compile(rf"(?P<value>{_NUMBER})(?P<unit>[A-Za-z]{{2,}})(?:\^(?:\d|\{{\d\}}))?")
_FOREIGN_UNIT = re.compile(rf"(?P<value>{_NUMBER}) ?(?P<unit>[^\W\d_]+(?: [^\W\d_]+){{0,5}})")
_COMPARED = re.compile(
    r" than (?!.*\b(?:number|sum|product|difference|quotient|value|the other)\b)(?=\w)"
)
"""The joint of *more apples than Bob*; *5 less than the number* is a formula."""
_FOREIGN_NUMBER = re.compile("[万千百亿兆億萬十半分之]")
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


def with_figures(words: str) -> str:
    """Return ``5 apples`` for ``five apples``: figures for a number in words before what it counts.

    Other texts stay as they are.
    """
    names = words.split(" ")
    if len(words) > _LONGEST_COUNT or not (words[:1].isalpha() or " and a" in words):
        return words
    for num_nouns in range(1, min(_MOST_NOUNS, len(names) - 1) + 1):
        number_part, nouns = " ".join(names[:-num_nouns]), names[-num_nouns:]
        if not all(noun.isalpha() and len(noun) > 1 and is_counted(noun) for noun in nouns):
            break
        value = number_in_words(number_part)
        if value is not None:
            return " ".join([str(value), *nouns])
    return words


_MOST_NOUNS = 4
_LONGEST_COUNT = 100
"""Characters past which an answer is no number in words with a noun."""


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
    words = re.findall(r"[A-Za-z]+", _COMPARED.sub(" ", phrase))
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
    runs = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", _LENGTH_NAME.sub("", text))
    return any(run.lower() not in MATH_WORDS for run in runs)
