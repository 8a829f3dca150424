"""The tree of a formula."""

from dataclasses import dataclass
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
    r"""Return a tree for each sign that ``\pm`` stands for: two, or the tree itself."""
    if not _has_signs(node):
        return [node]
    return [_signed(node, plus=True), _signed(node, plus=False)]


def _has_signs(node: Node) -> bool:
    return node.kind == "plus_minus" or any(map(_has_signs, node.parts))


def _signed(node: Node, *, plus: bool) -> Node:
    parts = tuple(_signed(part, plus=plus) for part in node.parts)
    if node.kind != "plus_minus":
        return Node(node.kind, node.text, parts)
    return parts[0] if plus == (node.text == "+") else Node("negative", "", parts)
