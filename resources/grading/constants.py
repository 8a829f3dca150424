r"""Decide whether two values are equal.

Two exact values are compared exactly: rationals as they are, other constants to 600 digits of
their difference. Variables take rational values at two points. Only a decimal of six or more
digits on one side may differ from an unending value: by less than one unit in its last place,
or, where the decimal is the whole answer, by six digits.
"""

from itertools import cycle

import sympy

from resources.grading.symbols import Expression

_POINTS = (
    [sympy.Rational(*pair) for pair in ((17, 13), (29, 11), (7, 19), (41, 23), (37, 31))],
    [sympy.Rational(*pair) for pair in ((-19, 7), (11, 29), (-5, 17), (13, 41), (-43, 31))],
    [sympy.Rational(*pair) for pair in ((23, 5), (3, 37), (53, 29), (61, 17), (2, 43))],
)
"""Sets of values for the variables, taken in order of their names."""
_DIGITS = 600
"""Digits to which a difference is computed before it counts as zero."""
_ROUNDED = sympy.Rational(1, 10**6)
"""Relative difference allowed where one side is a decimal alone: six digits."""


def same_expressions(expected: sympy.Expr, given: sympy.Expr) -> bool | None:
    """Compare two expressions without decimals; None where one of them has no value."""
    return agree(Expression(expected), Expression(given))


def agree(first: Expression, second: Expression) -> bool | None:
    """Compare two values at the points; None where one of them has no value there."""
    names = sorted(first.names | second.names, key=str)
    for index, point in enumerate(_POINTS if names else _POINTS[:1]):
        values = dict(zip(names, cycle(point), strict=False))
        left, right = (side.exact().subs(values) for side in (first, second))
        if not (left.is_number and right.is_number) or left.has(sympy.zoo, sympy.nan):
            return None
        # Authors mean positive variables: roots of negative ones are not held against an answer.
        if index and not (left.is_real and right.is_real):
            continue
        if not is_zero(left - right) and not _rounds(first, second, values):
            return False
    return True


def proportional(first: sympy.Expr, second: sympy.Expr, *, positive: bool) -> bool:
    """Say whether two differences are one but for a factor, which keeps an equation the same."""
    names = sorted(first.free_symbols | second.free_symbols, key=str)
    if first.free_symbols != second.free_symbols or not names:
        return False
    points = [dict(zip(names, cycle(point), strict=False)) for point in _POINTS]
    values = [(first.subs(point), second.subs(point)) for point in points]
    usable = [pair for pair in values if all(value.is_finite for value in pair)]
    if len(usable) < 2 or any(is_zero(value) for value in usable[0]):
        return False
    left, right = usable[0]
    if positive and not (left * right).is_positive:
        return False
    return all(is_zero(left * other[1] - right * other[0]) for other in usable[1:])


def is_zero(value: sympy.Expr) -> bool:
    """Say whether a constant is zero, to all of the digits that are computed."""
    if value.is_Rational:
        return bool(value == 0)
    if value in (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan):
        return value is sympy.nan
    parts = value.evalf(15, maxn=_DIGITS).as_real_imag()
    return all(part == 0 or getattr(part, "_prec", 0) == 1 for part in parts)


def _rounds(
    first: Expression, second: Expression, values: dict[sympy.Symbol, sympy.Rational]
) -> bool:
    """Say whether the decimals of one side round or cut what stands on the other."""
    if bool(first.decimals) == bool(second.decimals):
        return False
    rounded, exact = (first, second) if first.decimals else (second, first)
    target = exact.exact().subs(values)
    if target.is_Rational and _ends(target):
        return False
    middle = rounded.exact().subs(values)
    difference = abs(middle - target)
    if rounded.is_decimal and bool((difference - _ROUNDED * abs(target)).evalf() <= 0):
        return True
    reach = sum(abs(end.subs(values) - middle) for end in rounded.ends())
    return bool((reach - difference).evalf() > 0)


def _ends(value: sympy.Rational) -> bool:
    """Say whether a rational number has an ending decimal."""
    return bool(10 ** int(value.q).bit_length() % int(value.q) == 0)
