r"""Read plain numbers as exact fractions: decimals, fractions, mixed numbers, powers of ten.

Reads digit groups (``1,234``, ``1 234``, ``12,34,567``, ``1.234.567``), repeating decimals
(``0.1\overline{6}``, ``0.(3)``, ``0.333\ldots``) and floats as Python prints them (``1e-05``).
"""

import re
from fractions import Fraction

MAX_LENGTH = 1000
"""A longer number is not read as one: reading it takes time quadratic in its length."""
_GROUPS = (
    r"\d{1,3}(?:[, ]\d{3})+(?:\.\d*)?|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?|\d{1,3}(?:_\d{3})+"
    r"|\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}\.\d{3},\d{1,2}"
)
_DECIMAL = rf"[-+]?(?:{_GROUPS}|\d+(?:\.\d*)?|\.\d+)"
_INTEGER = r"[-+]?\d+"
_OPEN, _CLOSE = r"(?:\{|\()?", r"(?:\}|\))?"
_FORMS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<over>{_DECIMAL})(?:\\ldots)?",
        rf"(?P<over>{_DECIMAL})(?:/|\\div)\(?(?P<under>{_DECIMAL})\)?",
        rf"(?P<sign>[-+]?)\(?\\frac\{{(?P<over>{_DECIMAL})\}}\{{(?P<under>{_DECIMAL})\}}\)?",
        r"(?P<sign>[-+]?)(?P<whole>\d+)\\frac\{(?P<over>\d+)\}\{(?P<under>\d+)\}",
        r"(?P<sign>[-+]?)(?P<whole>\d+)[ +](?P<over>\d+)/(?P<under>\d+)",
        rf"(?P<over>{_DECIMAL})(?:\\times|\\cdot|\*)10\^(?P<power>\{{{_INTEGER}\}}|\d)",
        rf"(?P<sign>[-+]?)(?P<ten>10)\^(?P<power>\{{{_INTEGER}\}}|\d)",
        rf"(?P<over>[-+]?(?:\d+(?:\.\d*)?|\.\d+))[eE](?P<power>{_INTEGER})",
        r"(?P<sign>[-+]?)(?P<base>\d{1,4})\^(?P<exponent>\{\d{1,3}\}|\d)",
        r"\((?P<over>-?\d+(?:\.\d+)?)\)",
    )
)
_REPEATING = re.compile(
    r"(?P<sign>[-+]?)(?P<whole>\d*)\.(?P<fixed>\d*)(?:\\(?:overline|bar|dot|overset\{\.\})"
    r"\{?(?P<marked>\d+)\}?(?:(?P<middle>\d*)\\dot\{?(?P<last>\d)\}?)?|\((?P<bracketed>\d+)\)"
    r"|(?P<run>(?P<unit>\d{1,6}?)(?P=unit){2,})\\ldots)"
)


def number(normal: str) -> Fraction | None:
    """Return the value of a normalised plain number without a percent sign, else None."""
    if len(normal) > MAX_LENGTH or normal[-1:] not in _LAST:
        return None
    repeating = _REPEATING.fullmatch(normal) if normal[-1] in "})s" else None
    if repeating:
        return _repeating_value(repeating)
    for pattern in _FORMS:
        match = pattern.fullmatch(normal)
        if match:
            return _value(match.groupdict())
    return None


_LAST = frozenset("0123456789.})s")
"""The characters that a plain number may end in; ``s`` is that of an ellipsis."""


def _value(parts: dict[str, str | None]) -> Fraction | None:
    power = int((parts.get("power") or "0").strip("{}"))
    under = _decimal(parts.get("under") or "1")
    if under == 0 or abs(power) > MAX_LENGTH:
        return None
    sign = -1 if parts.get("sign") == "-" else 1
    if parts.get("base"):
        return Fraction(
            sign * int(parts["base"] or 0) ** int((parts["exponent"] or "").strip("{}"))
        )
    over = "1" if parts.get("ten") else parts.get("over") or "0"
    value = _decimal(parts.get("whole") or "0") + _decimal(over) / under
    return value * Fraction(10) ** power * sign


def _decimal(text: str) -> Fraction:
    has_decimal_comma = text.count(".") > 1 or 0 <= text.find(".") < text.find(",")
    if has_decimal_comma:
        text = text.replace(".", "").replace(",", ".")
    return Fraction(text.replace(",", "").replace(" ", "").replace("_", ""))


def _repeating_value(match: re.Match[str]) -> Fraction:
    fixed = match["fixed"]
    period = match["marked"] or match["bracketed"] or match["unit"]
    period += (match["middle"] or "") + (match["last"] or "")
    scale = 10 ** len(fixed)
    value = Fraction(int(match["whole"] or 0)) + Fraction(int(fixed or 0), scale)
    value += Fraction(int(period), scale * (10 ** len(period) - 1))
    return -value if match["sign"] == "-" else value


def ends(value: Fraction) -> bool:
    """Say whether ``value`` has an ending decimal: its denominator has no prime but 2 and 5."""
    return bool(10 ** value.denominator.bit_length() % value.denominator == 0)
