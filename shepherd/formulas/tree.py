"""The tree of a formula."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal[
    "number",
    "symbol",
    "sum",
    "product",
    "power",
    "negative",
    "plus_minus",
    "call",
    "degrees",
    "list",
    "relation",
    "ratio",
    "union",
    "matrix",
    "row",
]
"""What a node is. ``list`` has its brackets as text: ``()``, ``[)``, ``{}``, or none.
``relation`` has its operators as text, parted by blanks, one fewer than its parts. ``call`` has
the name of its function, ``union`` that of its operator, ``plus_minus`` ``+`` or ``-``: the sign
of its first reading."""


class UnreadableFormula(ValueError):  # noqa: N818 - a state of the text, not of the program
    """The text is not a formula that the grammar reads."""


@dataclass(frozen=True)
class Node:
    """A part of a formula: its kind, its text (a name, figures or brackets) and its parts."""

    kind: Kind
    text: str = ""
    parts: tuple["Node", ...] = ()


def call(name: str, *arguments: Node) -> Node:
    """Return the application of a named function."""
    return Node("call", name, arguments)


def readings(node: Node) -> list[Node]:
    r"""Return a tree for each choice of the signs that ``\pm`` stands for.

    The signs of ``x \pm 1, y \mp 2`` go together; those of one sum, ``\pm 1 \pm i``, do not.
    """
    signs = _signs(node)
    if not signs:
        return [node]
    if _has_free_signs(node) and set(signs) == {"+"} and len(signs) <= _MOST_FREE_SIGNS:
        choices = list(product((True, False), repeat=len(signs)))
    else:
        choices = [(True,) * len(signs), (False,) * len(signs)]
    return [_signed(node, iter(choice)) for choice in choices]


_MOST_FREE_SIGNS = 3


def _signs(node: Node) -> list[str]:
    """Return the texts of the ``plus_minus`` nodes of a tree, each before its parts."""
    own = [node.text] if node.kind == "plus_minus" else []
    return own + [sign for part in node.parts for sign in _signs(part)]


def _has_free_signs(node: Node) -> bool:
    signs = [part for part in node.parts if part.kind == "plus_minus"]
    return (node.kind == "sum" and len(signs) > 1) or any(map(_has_free_signs, node.parts))


def _signed(node: Node, choice: Iterator[bool]) -> Node:
    """Return a tree with the next of the chosen signs for each ``plus_minus`` node."""
    if node.kind != "plus_minus":
        return Node(node.kind, node.text, tuple(_signed(part, choice) for part in node.parts))
    is_plus = next(choice) == (node.text == "+")
    (part,) = (_signed(part, choice) for part in node.parts)
    return part if is_plus else Node("negative", "", (part,))
