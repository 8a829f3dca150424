"""Read numbers that are written in words: ``five``, ``1.5 million``, ``1 out of 4``.

A text that holds any other word is not read as a number, so that ``two dogs`` stays a text.
"""

import re
from fractions import Fraction

_ONES_IN_ORDER = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_ORDINALS_IN_ORDER = (
    "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)

_ONES = _ONES_IN_ORDER.split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * (value + 2) for value, word in enumerate(_TENS)
}
_SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
_GROUPS = {"dozen": 12}
_ORDINALS = _ORDINALS_IN_ORDER.split()
_PARTS = {
    "half": 2,
    "halve": 2,
    "quarter": 4,
    "twentieth": 20,
    "hundredth": 100,
    "thousandth": 1000,
    "millionth": 10**6,
} | {word: value + 3 for value, word in enumerate(_ORDINALS)}
_SHORT_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}
_POWERS = {"squared": 2, "cubed": 3}

SCALE_WORDS = frozenset(plural for word in {**_SCALES, **_GROUPS} for plural in (word, f"{word}s"))
"""Words that multiply the number before them."""

VALUE_WORDS = frozenset(
    [*_SMALL, *_POWERS, *SCALE_WORDS, "halves", "half", "and"] + [f"{word}s" for word in _PARTS]
)
"""Words that are numbers, or that change the number before them."""

_FIGURES = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SCALED = re.compile(rf"({_FIGURES})[ -]?((?:[A-Za-z]+[ -]?)+)")
_MONEY_SCALE = re.compile(rf"({_FIGURES}) ?(k|mn|m|bn|b)", re.IGNORECASE)
_GLUED_SCALE = re.compile(rf"({_FIGURES})([KMB])")
_MIXED = re.compile(r"(-?\d{1,12}) and (\d{1,6})/(\d{1,6})")
_AND_PART = re.compile(r"(?P<whole>.{1,80}?) and (?P<part>(?:an? |[a-z0-9]{1,10}[ -])[a-z]{4,12})")
_SHARE = re.compile(
    r"(\S{1,30}(?:[ -](?!out|in)\w{1,30})?) (?:out of|in)(?: every)? (\S{1,30}(?:[ -]\w{1,30})?)"
)
_WORDS = re.compile(r"[A-Za-z]+(?:[ -]+[A-Za-z]+)*", re.ASCII)
_LONGEST = 200
"""Characters past which a text is not a number in words."""


def number_in_words(text: str) -> Fraction | None:
    """Return the value of a text that is a number written in words, else None.

    Reads numbers (``one hundred and five``), scales (``1.5 million``, ``4 lakh``), parts
    (``3 halves``, ``two thirds``), powers (``2 squared``) and shares (``1 out of 4``).
    """
    if len(text) > _LONGEST or not re.search(r"[A-Za-z]{2}", text):
        return None
    share = _SHARE.fullmatch(text)
    if share:
        over, under = _figure_or_words(share[1]), _figure_or_words(share[2])
        integers = over is not None and under and over.denominator == under.denominator == 1
        return over / under if integers and over is not None and under else None
    mixed = _AND_PART.fullmatch(text.casefold())
    if mixed and (value := _with_part(mixed)) is not None:
        return value
    if _WORDS.fullmatch(text):
        return _in_words(text.casefold())
    scaled = _SCALED.fullmatch(text)
    if not scaled:
        return None
    return _scaled(Fraction(scaled[1].replace(",", "")), scaled[2].casefold())


def money_in_thousands(text: str) -> Fraction | None:
    """Return the value of an amount of money such as ``1.2k`` or ``3M``, else None."""
    match = _MONEY_SCALE.fullmatch(text)
    if not match:
        return None
    return Fraction(match[1].replace(",", "")) * _SHORT_SCALES[match[2].lower()]


def short_scale(text: str) -> Fraction | None:
    """Return the value of ``5K`` or ``3M``, where the letter is glued to the figures, else None."""
    match = _GLUED_SCALE.fullmatch(text)
    return money_in_thousands(text) if match else None


def mixed_number(text: str) -> Fraction | None:
    """Return the value of ``2 and 1/2``, which may be two answers as well, else None."""
    match = _MIXED.fullmatch(text)
    if not match or not 0 < int(match[2]) < int(match[3]):
        return None
    part = Fraction(int(match[2]), int(match[3]))
    return int(match[1]) + (-part if match[1].startswith("-") else part)


def _with_part(match: re.Match[str]) -> Fraction | None:
    """Return the value of ``six and a half`` and ``2 and three quarters``."""
    whole = _figure_or_words(match["whole"])
    part = _in_words(match["part"].replace("-", " "))
    if whole is None or part is None or not 0 < part < 1:
        return None
    return whole - part if whole < 0 else whole + part


def _figure_or_words(text: str) -> Fraction | None:
    if re.fullmatch(_FIGURES, text):
        return Fraction(text.replace(",", ""))
    return _in_words(text.casefold()) if _WORDS.fullmatch(text) else None


def _scaled(value: Fraction, words: str) -> Fraction | None:
    """Return ``value`` after the words behind it, or None where a word is no scale or part."""
    for word in words.replace("-", " ").split():
        singular = word.removesuffix("s")
        if word in _POWERS:
            value = value ** _POWERS[word]
        elif singular in _SCALES or singular in _GROUPS:
            value *= (_SCALES | _GROUPS)[singular]
        elif _part(word):
            value /= _part(word)
        else:
            return None
    return value


def _part(word: str) -> int:
    """Return 3 for ``third`` and ``thirds``, and 0 for a word that names no part."""
    return _PARTS.get(word.removesuffix("s"), 2 if word == "halves" else 0)


def _in_words(words: str) -> Fraction | None:
    """Return the value of numbers alone, such as ``two hundred and five`` or ``three halves``."""
    names = [word for word in re.split(r"[ -]+", words) if word]
    sign = -1 if names[0] in ("minus", "negative") else 1
    names = names[1:] if sign < 0 else names
    if len(names) > 1 and names[0] in ("a", "an"):
        names[0] = "one"
    if names[:2] in (["half", "a"], ["half", "an"]) and len(names) == 3:
        whole = _cardinal(["one", names[2]])
        return None if whole is None else Fraction(sign * whole, 2)
    part = _part(names[-1]) if names else 0
    if part:
        over = _cardinal(names[:-1]) if names[:-1] else 1 if names == ["half"] else None
        return None if over is None else Fraction(sign * over, part)
    value = _cardinal(names)
    return None if value is None else Fraction(sign * value)


def _cardinal(names: list[str]) -> int | None:
    """Return the value of a cardinal number in words, or None where a word is no number."""
    total, current, has_number = 0, 0, False
    for name in names:
        scale = _SCALES.get(name) or _GROUPS.get(name)
        if name in _SMALL:
            small = _SMALL[name]
            if has_number and current % 100 and (current % 100 < 20 or small >= 10):
                return None
            current += small
            has_number = True
        elif scale and has_number:
            if scale == 100 or name in _GROUPS:
                current *= scale
            else:
                total, current = total + current * scale, 0
        elif name != "and" or not has_number:
            return None
    return total + current if has_number else None
