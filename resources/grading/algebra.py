"""Decide whether two formulas are equal, kind by kind: values, lists, relations, matrices."""

import re
from collections.abc import Callable, Sequence

import sympy

from resources.grading.constants import agree, is_zero, proportional
from resources.grading.intervals import ORDERED, TURNED, inequalities, real_set
from resources.grading.names import is_named, is_true_chain
from resources.grading.symbols import NoValueError, expression_of
from shepherd.formulas import Node, read_formula
from shepherd.formulas.tree import readings

_CONSTANT_OF_INTEGRATION = re.compile(r"\+[cCkK]$")


def same_formulas(gold: str, answer: str) -> bool | None:
    """Compare two normalised answers; None where their kinds have no common comparison.

    Raises:
        UnreadableFormula: one of the two is no formula.
    """
    if gold.endswith("+C") or answer.endswith("+C"):
        gold, answer = (_CONSTANT_OF_INTEGRATION.sub("+C", side) for side in (gold, answer))
    expected, given = read_formula(gold), read_formula(answer)
    if gold.endswith("%") != answer.endswith("%"):
        bare = [node.parts[0] if node.text == "percent" else node for node in (expected, given)]
        return _same(*bare) or _same(expected, given)
    return _same(expected, given)


def has_variables(text: str) -> bool:
    """Say whether a readable formula has a value that depends on variables."""
    try:
        return bool(expression_of(read_formula(text)).names)
    except (NoValueError, ValueError):
        return True


def _same(expected: Node, given: Node) -> bool | None:
    return _are_one_set(expected, given) or _same_kinds(expected, given)


def _are_one_set(expected: Node, given: Node) -> bool:
    """Say whether two answers are one union of intervals, of which one is a relation."""
    if not (_has_relations(expected) or _has_relations(given)):
        return False
    first, second = real_set(expected), real_set(given)
    if first is None or second is None:
        return False
    names = {first.name, second.name} - {None}
    return len(names) == 1 and _match(first.intervals, second.intervals, _same_intervals)


def _has_relations(node: Node) -> bool:
    return any(part.kind == "relation" for part in (node, *node.parts))


def _same_intervals(expected: Node, given: Node) -> bool:
    return expected.text == given.text and _all_same(expected.parts, given.parts)


def _same_kinds(expected: Node, given: Node) -> bool | None:
    first, second = _items(expected), _items(given)
    if len(first) > 1 or len(second) > 1 or "list" in (expected.kind, given.kind):
        return _same_lists(expected, given)
    expected, given = first[0], second[0]
    relations = [node.kind == "relation" for node in (expected, given)]
    if all(relations):
        return _same_relations(expected, given)
    if any(relations):
        return _same_named(expected, given)
    kinds = {expected.kind, given.kind}
    if "ratio" in kinds and len(kinds) == 2:
        ratio = expected if expected.kind == "ratio" else given
        return _same_values(expected, given) if len(ratio.parts) == 2 else None
    for kind, compare in _BY_KIND.items():
        if kind in kinds:
            return compare(expected, given) if len(kinds) == 1 else None
    return _same_values(expected, given)


def _items(node: Node) -> list[Node]:
    r"""Return the items of a list without brackets, and both readings of a ``\pm``."""
    parts = node.parts if node.kind == "list" and node.text in ("", "{}") else (node,)
    items: list[Node] = []
    for part in parts:
        for reading in readings(part):
            # An answer in two spellings, x+11 or 11+x, is one item; 2, 2 are two.
            if not any(item != reading and _same(item, reading) for item in items):
                items.append(reading)
    return items


def _same_lists(expected: Node, given: Node) -> bool | None:
    """Compare lists: tuples and intervals in order, sets and bare lists in any order."""
    for node, other in ((expected, given), (given, expected)):
        is_value = node.kind == "relation" and node.parts[-1].kind == other.kind == "list"
        if is_value and is_named(node.parts[0]):
            return _same_named(expected, given)
    brackets = [node.text if node.kind == "list" else "" for node in (expected, given)]
    vectors = [_as_vector(node) for node in (expected, given)]
    if "matrix" in (expected.kind, given.kind) and None not in vectors:
        return _all_same(vectors[0] or (), vectors[1] or ())
    if all(text in ORDERED for text in brackets):
        return brackets[0] == brackets[1] and _all_same(expected.parts, given.parts)
    relations = [inequalities(node) for node in (expected, given)]
    if all(relations):
        return _match(relations[0], relations[1], _same)
    return _same_bare_lists(expected, given, brackets)


def _same_bare_lists(expected: Node, given: Node, brackets: list[str]) -> bool | None:
    """Compare lists of which at least one has no brackets, or those of a set."""
    first, second = (
        list(node.parts) if text in ORDERED else _items(node)
        for node, text in zip((expected, given), brackets, strict=True)
    )
    if len(first) == 1 and len(second) == 1:
        return _same(first[0], second[0])
    if len(first) == 1 or len(second) == 1:
        return None if "relation" in {first[0].kind, second[0].kind} else False
    if any(text in ORDERED for text in brackets):
        is_point = {"()"} >= {text for text in brackets if text in ORDERED}
        return is_point and _all_same(first, second)
    return _match(first, second, _same)


def _as_vector(node: Node) -> Sequence[Node] | None:
    """Return the entries of a tuple or of a matrix of one column or one row, else None."""
    if node.kind == "list" and node.text == "()":
        return node.parts
    if node.kind != "matrix" or node.text.lower().startswith("v"):
        return None
    if all(len(row.parts) == 1 for row in node.parts):
        return [row.parts[0] for row in node.parts]
    return node.parts[0].parts if len(node.parts) == 1 else None


def _all_same(expected: Sequence[Node], given: Sequence[Node]) -> bool:
    return len(expected) == len(given) and all(
        _same(first, second) for first, second in zip(expected, given, strict=True)
    )


def _match(
    expected: Sequence[Node], given: Sequence[Node], same: Callable[[Node, Node], bool | None]
) -> bool:
    """Say whether each item of one list has its own equal in the other."""
    rest = list(given)
    if len(expected) != len(rest):
        return False
    for item in expected:
        index = next((i for i, other in enumerate(rest) if same(item, other)), None)
        if index is None:
            return False
        rest.pop(index)
    return True


def _same_relations(expected: Node, given: Node) -> bool | None:
    """Compare equations and inequalities, whichever side comes first."""
    operators = [expected.text.split(), given.text.split()]
    if ["in"] in operators:
        return _same_memberships(expected, given)
    if len(operators[0]) > 1 or len(operators[1]) > 1:
        return _same_chains(expected, given)
    (first,), (second,) = operators
    if second in TURNED and second != first:
        given = Node("relation", TURNED[second], given.parts[::-1])
    if given.text != expected.text:
        return False
    if _all_same(expected.parts, given.parts):
        return True
    try:
        differences = [_difference(node) for node in (expected, given)]
    except NoValueError:
        return expected.text == "=" and _all_same(expected.parts, given.parts[::-1])
    return proportional(*differences, positive=first in TURNED)


def _same_memberships(expected: Node, given: Node) -> bool | None:
    r"""Compare ``x \in (1,2)`` with another membership or with inequalities."""
    if expected.text == given.text:
        is_one_kind = _is_in_set(expected) == _is_in_set(given)
        return is_one_kind and _all_same(expected.parts, given.parts)
    bounds = [inequalities(node) for node in (expected, given)]
    if any(_is_in_set(node) for node in (expected, given)):
        return False
    return _match(bounds[0], bounds[1], _same) if all(bounds) else None


def _is_in_set(node: Node) -> bool:
    r"""Say whether a relation is a membership in a set of elements: ``x \in \{1,2\}``."""
    return node.text == "in" and node.parts[1].text == "{}"


def _same_chains(expected: Node, given: Node) -> bool | None:
    """Compare chains: of inequalities part by part, of equations by what they come to."""
    chains = [inequalities(node) for node in (expected, given)]
    if all(chains):
        return _match(chains[0], chains[1], _same)
    if {*expected.text.split(), *given.text.split()} == {"="} and is_named(expected.parts[0]):
        ends = [(node.parts[0], node.parts[-1]) for node in (expected, given)]
        return _all_same(*ends)
    return expected.text == given.text and _all_same(expected.parts, given.parts)


def _difference(relation: Node) -> sympy.Expr:
    left, right = (expression_of(part).exact() for part in relation.parts)
    return left - right


def _same_named(expected: Node, given: Node) -> bool | None:
    """Compare ``x = 4`` with ``4``; other relations have no value."""
    relation, value = (expected, given) if expected.kind == "relation" else (given, expected)
    operators = relation.text.split()
    if "in" in operators and len(operators) == 1 and value.kind == "list":
        return _same(relation.parts[1], value)
    if operators == ["approx"] and not is_named(relation.parts[0]):
        # An exact value with its decimal: sqrt(2) = 1.414.
        return _same(relation.parts[0], value)
    if not set(operators) <= {"=", "approx"}:
        return None
    has_value = is_named(relation.parts[0]) or is_true_chain(relation)
    if relation is given and not has_value:
        # Asked for m + n, an answer may say so; a gold equation is one.
        has_value = _states_combination(relation)
    return has_value and bool(_same(relation.parts[-1], value))


def _states_combination(relation: Node) -> bool:
    """Say whether a relation gives the value of an expression in several unknowns: ``m+n=204``."""
    try:
        first, last = (expression_of(relation.parts[place]) for place in (0, -1))
    except NoValueError:
        return False
    return len(relation.parts) == 2 and len(first.names) > 1 and not last.names


def _same_ratios(expected: Node, given: Node) -> bool | None:
    parts = [[expression_of(part).exact() for part in node.parts] for node in (expected, given)]
    if len(parts[0]) != len(parts[1]):
        return False
    pairs = list(zip(*parts, strict=True))
    left, right = pairs[0]
    return all(is_zero(left * other[1] - right * other[0]) for other in pairs[1:])


def _same_unions(expected: Node, given: Node) -> bool | None:
    if expected.text != given.text:
        return None
    return _match(_members(expected), _members(given), _same)


def _members(node: Node) -> list[Node]:
    parts = [_members(part) if part.text == node.text else [part] for part in node.parts]
    return [member for part in parts for member in part]


def _same_matrices(expected: Node, given: Node) -> bool | None:
    determinants = [node.text.lower().startswith("v") for node in (expected, given)]
    if determinants[0] != determinants[1] or len(expected.parts) != len(given.parts):
        return False
    return all(
        _all_same(row.parts, other.parts)
        for row, other in zip(expected.parts, given.parts, strict=True)
    )


def _same_values(expected: Node, given: Node) -> bool | None:
    try:
        first, second = expression_of(expected), expression_of(given)
    except NoValueError:
        return None
    return agree(first, second)


_BY_KIND: dict[str, Callable[[Node, Node], bool | None]] = {
    "ratio": _same_ratios,
    "union": _same_unions,
    "matrix": _same_matrices,
}
