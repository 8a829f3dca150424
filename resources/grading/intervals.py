r"""Read sets of real numbers: intervals, their unions, and inequalities of one variable.

``(-\infty,-1) \cup (1,\infty)``, ``x < -1 or x > 1``, ``|x| > 1`` and ``x \in ...`` are one set.
"""

from dataclasses import dataclass

from resources.grading.symbols import NoValueError, expression_of
from shepherd.formulas import Node

TURNED = {"<": ">", ">": "<", "le": "ge", "ge": "le"}
ORDERED = ("()", "[]", "(]", "[)")
_INFINITY = Node("symbol", "\\infty")
_MINUS_INFINITY = Node("negative", "", (_INFINITY,))
_MOST_RELATIONS = 2
"""Inequalities of one set: the lower and the upper bound."""


@dataclass(frozen=True)
class RealSet:
    """A union of intervals."""

    name: Node | None
    """The variable that lies in it; None where the answer names none."""
    intervals: tuple[Node, ...]
    """Lists of two ends, with the brackets of the interval."""


def real_set(node: Node) -> RealSet | None:
    """Return the set of real numbers that an answer describes, or None if it is no such set."""
    if node.kind == "relation":
        return _of_relation(node)
    if node.kind == "list" and node.text == "":
        return _of_joined_relations(node)
    intervals = _intervals(node)
    return RealSet(None, intervals) if intervals else None


def _intervals(node: Node) -> tuple[Node, ...]:
    """Return the intervals of a union, or the one interval; empty for other nodes."""
    if node.kind == "list" and node.text in ORDERED and len(node.parts) == 2:
        return (node,)
    if node.kind == "union" and node.text == "cup":
        members = [_intervals(part) for part in node.parts]
        return tuple(one for member in members for one in member) if all(members) else ()
    return ()


def _of_relation(relation: Node) -> RealSet | None:
    operators, parts = relation.text.split(), relation.parts
    if operators in (["in"], ["ne"]):
        if not _is_variable(parts[0]):
            return None
        if operators == ["ne"]:
            below, above = _interval(high=parts[1]), _interval(low=parts[1])
            return RealSet(parts[0], (below, above)) if _is_constant(parts[1]) else None
        intervals = _intervals(parts[1])
        return RealSet(parts[0], intervals) if intervals else None
    if not set(operators) <= set(TURNED):
        return None
    if set(operators) <= {">", "ge"}:
        operators, parts = [TURNED[one] for one in operators[::-1]], parts[::-1]
    if not set(operators) <= {"<", "le"}:
        return None
    return _of_ascending(operators, parts)


def _of_ascending(operators: list[str], parts: tuple[Node, ...]) -> RealSet | None:
    """Return the set of ``low < x``, ``x < high`` or ``low < x < high``; ``|x|`` may be the x."""
    places = [place for place, part in enumerate(parts) if not _is_constant(part)]
    if len(places) != 1 or not (len(parts) == 2 or (len(parts) == 3 and places == [1])):
        return None
    [place] = places
    low = parts[place - 1] if place else None
    high = parts[place + 1] if place + 1 < len(parts) else None
    interval = _interval(
        low,
        high,
        opening="(" if low is None or operators[place - 1] == "<" else "[",
        closing=")" if high is None or operators[place] == "<" else "]",
    )
    name = parts[place]
    if name.kind == "call" and name.text == "abs" and _is_variable(name.parts[0]):
        return RealSet(name.parts[0], _with_mirrored(interval))
    return RealSet(name, (interval,)) if _is_variable(name) else None


def _interval(
    low: Node | None = None, high: Node | None = None, *, opening: str = "(", closing: str = ")"
) -> Node:
    ends = (low or _MINUS_INFINITY, high or _INFINITY)
    return Node("list", opening + closing, ends)


def _with_mirrored(interval: Node) -> tuple[Node, ...]:
    """Return the intervals of x for an interval of ``|x|``."""
    low, high = interval.parts
    negative_high = _MINUS_INFINITY if high == _INFINITY else Node("negative", "", (high,))
    if low == _MINUS_INFINITY:
        brackets = "[]" if interval.text[1] == "]" else "()"
        return (Node("list", brackets, (negative_high, high)),)
    brackets = interval.text[::-1].translate(_MIRRORED)
    return Node("list", brackets, (negative_high, Node("negative", "", (low,)))), interval


_MIRRORED = str.maketrans("()[]", ")(][")


def _of_joined_relations(node: Node) -> RealSet | None:
    """Return the set of several relations of one variable.

    Two half-lines that overlap are joined by *and*, ``x > 1, x < 5``; others by *or*.
    """
    sets = [_of_relation(part) if part.kind == "relation" else None for part in node.parts]
    known = [one for one in sets if one is not None]
    if len(known) < len(sets) or len({one.name for one in known}) != 1:
        return None
    intervals = tuple(interval for one in known for interval in one.intervals)
    if len(intervals) != _MOST_RELATIONS:
        return RealSet(known[0].name, intervals)
    for first, second in (intervals, intervals[::-1]):
        low, high = first.parts[0], second.parts[1]
        if first.parts[1] == _INFINITY and second.parts[0] == _MINUS_INFINITY:
            if _is_less(low, high):
                bounded = _interval(low, high, opening=first.text[0], closing=second.text[1])
                return RealSet(known[0].name, (bounded,))
            return RealSet(known[0].name, intervals)
    return RealSet(known[0].name, intervals)


def _is_less(low: Node, high: Node) -> bool:
    try:
        difference = expression_of(high).exact() - expression_of(low).exact()
    except NoValueError:
        return False
    return bool(difference.is_positive)


def _is_variable(node: Node) -> bool:
    return node.kind == "symbol" and not _is_constant(node)


def _is_constant(node: Node) -> bool:
    """Say whether a node has a value without variables."""
    if node in (_INFINITY, _MINUS_INFINITY):
        return True
    try:
        return not expression_of(node).names
    except NoValueError:
        return False


def inequalities(node: Node) -> list[Node]:
    """Return the single inequalities of a chain or of a list of them; empty for other nodes."""
    if node.kind == "list" and node.text == "":
        chains = [inequalities(part) for part in node.parts]
        return [one for chain in chains for one in chain] if all(chains) else []
    operators = node.text.split()
    if operators == ["in"] and node.kind == "relation":
        return _bounds_of(*node.parts)
    if node.kind != "relation" or not set(operators) <= set(TURNED):
        return []
    pairs = zip(operators, node.parts, node.parts[1:], strict=False)
    return [Node("relation", operator, (left, right)) for operator, left, right in pairs]


def _bounds_of(name: Node, interval: Node) -> list[Node]:
    r"""Return the inequalities of a name in an interval: ``x \in (1,2]`` is ``1 < x \le 2``."""
    if interval.kind != "list" or interval.text not in ORDERED or len(interval.parts) != 2:
        return []
    low, high = interval.parts
    operators = ["<" if bracket in "()" else "le" for bracket in interval.text]
    bounds = []
    if low != _MINUS_INFINITY:
        bounds.append(Node("relation", operators[0], (low, name)))
    if high != _INFINITY:
        bounds.append(Node("relation", operators[1], (name, high)))
    return bounds
