"""Say which relations have the value of their last side: ``x = 4`` and ``3 + 1 = 4``."""

import re

import sympy

from resources.grading.constants import agree
from resources.grading.symbols import NoValueError, expression_of
from shepherd.formulas import Node

_FUNCTION = re.compile(r"[fghFGH](?:'|_\w+)*")
_OF_ANGLES = ("sin", "cos", "tan", "cot", "sec", "csc")


def is_named(node: Node) -> bool:
    r"""Say whether a node may name an answer: ``x``, ``f(x)``, ``AB``, ``A:B``, ``A \cap B``."""
    if node.kind in ("product", "ratio", "union"):
        of_names = ("symbol", "product", "union")
        return all(part.kind in of_names and is_named(part) for part in node.parts)
    if node.kind == "call" and node.text == "abs":
        return node.parts[0].kind == "product" and is_named(node.parts[0])
    if node.kind == "call" and node.text in (*_OF_ANGLES, "divide"):
        # The sine of an angle, and dy/dx.
        return all(map(is_named, node.parts)) and (node.text != "divide" or _is_derivative(node))
    return node.kind == "symbol" or (node.kind == "call" and bool(_FUNCTION.fullmatch(node.text)))


def _is_derivative(quotient: Node) -> bool:
    return all(part.kind == "product" and part.parts[0].text == "d" for part in quotient.parts)


def is_true_chain(relation: Node) -> bool:
    """Say whether a chain has no unknowns and its sides are equal: ``3+2=5``, ``10/3=3.33``."""
    try:
        sides = [expression_of(part) for part in relation.parts]
    except NoValueError:
        # A determinant and its value.
        return not any(map(_has_unknowns, relation.parts))
    if any(side.names for side in sides):
        return False
    decimals = relation.parts[-1].text.partition(".")[2]
    place = sympy.Rational(1, 10 ** len(decimals)) if decimals.isdigit() else 0
    last = sides[-1].exact()
    return all(
        agree(side, sides[-1]) or bool(place and abs(sympy.N(side.exact() - last)) < place)
        for side in sides[:-1]
    )


def _has_unknowns(node: Node) -> bool:
    is_unknown = node.kind == "symbol" and node.text not in ("\\pi", "\\infty", "e", "i")
    return is_unknown or any(map(_has_unknowns, node.parts))
