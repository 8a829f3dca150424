"""Turn the tree of a formula into a sympy expression, by explicit constructors alone."""

from collections.abc import Callable
from dataclasses import dataclass, field

import sympy

from shepherd.formulas import Node
from shepherd.numbers import number

_FEWEST_DIGITS = 6
"""Digits from which a decimal may stand for an unending value."""
_UNARY: dict[str, Callable[..., sympy.Expr]] = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "cot": sympy.cot,
    "sec": sympy.sec,
    "csc": sympy.csc,
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "arctan": sympy.atan,
    "arccot": sympy.acot,
    "arcsec": sympy.asec,
    "arccsc": sympy.acsc,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "exp": sympy.exp,
    "ln": sympy.log,
    "abs": sympy.Abs,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "factorial": sympy.factorial,
    "double_factorial": sympy.factorial2,
    "binomial": sympy.binomial,
    "mod": sympy.Mod,
    "min": sympy.Min,
    "max": sympy.Max,
    "gcd": sympy.gcd,
    "lcm": sympy.lcm,
    "log": lambda value: sympy.log(value, 10),
    "lg": lambda value: sympy.log(value, 10),
    "log_base": sympy.log,
    "percent": lambda value: value / 100,
    "divide": lambda over, under: over / under,
    "root": lambda value, index=2: _root(value, sympy.sympify(index)),
}
_CONSTANTS = {"e": sympy.E, "i": sympy.I, "\\pi": sympy.pi, "\\infty": sympy.oo}


def _root(value: sympy.Expr, index: sympy.Expr) -> sympy.Expr:
    """Return the real root where there is one: the cube root of -8 is -2."""
    is_odd = bool(index.is_Integer and index % 2 == 1)
    if is_odd and not (value.is_number and not value.is_real):
        return sympy.sign(value) * sympy.Abs(value) ** (1 / index)
    return value ** (1 / index)


class NoValueError(ValueError):
    """A node has no value: a list, a relation, a set, a matrix."""


@dataclass
class Expression:
    """The value of a formula, in which a symbol stands for each decimal of six or more digits."""

    value: sympy.Expr
    decimals: dict[sympy.Dummy, tuple[sympy.Rational, sympy.Rational]] = field(default_factory=dict)
    """The value of each decimal, and one unit in its last place."""

    @property
    def names(self) -> set[sympy.Symbol]:
        """The variables."""
        return set(self.value.free_symbols - set(self.decimals))

    @property
    def is_decimal(self) -> bool:
        """Whether the whole formula is one decimal."""
        return self.value in self.decimals or -self.value in self.decimals

    def exact(self) -> sympy.Expr:
        """Return the value with each decimal as the fraction that it is."""
        return self.value.subs({symbol: value for symbol, (value, _) in self.decimals.items()})

    def ends(self) -> list[sympy.Expr]:
        """Return the values with one decimal after the other raised by its last place."""
        exact = {symbol: value for symbol, (value, _) in self.decimals.items()}
        return [
            self.value.subs(exact | {symbol: exact[symbol] + unit})
            for symbol, (_, unit) in self.decimals.items()
        ]


def expression_of(node: Node) -> Expression:
    """Return the value of a formula.

    Raises:
        NoValueError: the formula is a list, a relation, a set or a matrix.
    """
    expression = Expression(sympy.S.Zero)
    expression.value = _value(node, expression)
    return expression


def _value(node: Node, expression: Expression) -> sympy.Expr:
    if node.kind == "number":
        return _number(node.text, expression)
    if node.kind == "symbol":
        return _CONSTANTS.get(node.text) or sympy.Symbol(node.text)
    if node.kind == "call":
        return _applied(node, expression)
    if node.kind not in _OPERATORS:
        raise NoValueError(f"a {node.kind} has no value")
    return _OPERATORS[node.kind](*(_value(part, expression) for part in node.parts))


def _number(text: str, expression: Expression) -> sympy.Expr:
    value = number(text)
    if value is None:
        raise NoValueError(f"{text} is too long")
    rational = sympy.Rational(value.numerator, value.denominator)
    whole, _, decimals = text.partition(".")
    if not decimals.isdigit() or len((whole + decimals).lstrip("0")) < _FEWEST_DIGITS:
        return rational
    symbol = sympy.Dummy()
    expression.decimals[symbol] = (rational, sympy.Rational(1, 10 ** len(decimals)))
    return symbol


def _applied(node: Node, expression: Expression) -> sympy.Expr:
    arguments = [_value(part, expression) for part in node.parts]
    function = _UNARY.get(node.text)
    if function is None and node.text.endswith("_base"):
        raise NoValueError(f"{node.text} has no value")
    if function is not None:
        return function(*arguments)
    # An unknown function: one variable for each of its arguments.
    return sympy.Symbol(f"{node.text}({', '.join(map(str, arguments))})")


_OPERATORS: dict[str, Callable[..., sympy.Expr]] = {
    "sum": sympy.Add,
    "product": sympy.Mul,
    "power": sympy.Pow,
    "negative": lambda value: -value,
    "degrees": lambda value: value * sympy.pi / 180,
    "ratio": lambda *parts: parts[0] / parts[1],
}
