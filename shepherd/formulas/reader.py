"""Parse the tokens of a formula by precedence: lists, relations, sums, products, powers."""

from shepherd.formulas.names import ADDING, MULTIPLYING, RELATIONS, SET_OPERATORS
from shepherd.formulas.operands import OperandReader
from shepherd.formulas.tokens import Token, tokens_of
from shepherd.formulas.tree import Node, UnreadableFormula, call

_MAX_DEPTH = 60
"""Nested parts past which a text is not read; the parser calls itself for each."""


def read_formula(text: str) -> Node:
    """Return the tree of a normalised answer.

    Raises:
        UnreadableFormula: the text, or a part of it, is no formula.
    """
    reader = _Reader(tokens_of(text))
    node = reader.items("")
    if reader.peek() is not None:
        raise UnreadableFormula(f"unexpected {reader.peek()}")
    return node


_MOST_MARKS = 2
"""Factorial signs in a row."""


class _Reader(OperandReader):
    """A recursive descent over tokens; each method reads one level and returns its node."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self._depth = 0

    def items(self, brackets: str) -> Node:
        """Read items between commas; one item without brackets is itself."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UnreadableFormula("nested too deep")
        groups = [[self._relation()]]
        while self.peek() in (",", ";"):
            if self._next().text == ";":
                groups.append([])
            groups[-1].append(self._relation())
        self._depth -= 1
        if len(groups) == 1 or all(len(group) == 1 for group in groups):
            parts = tuple(part for group in groups for part in group)
        else:
            # Groups between semicolons are points: p=5,q=2;p=7,q=2.
            parts = tuple(Node("list", "()", tuple(group)) for group in groups)
        return parts[0] if len(parts) == 1 and not brackets else Node("list", brackets, parts)

    def _relation(self) -> Node:
        parts, operators = [self._union()], []
        while self.peek() in RELATIONS:
            operators.append(self._next().text.lstrip("\\"))
            parts.append(self._union())
        return Node("relation", " ".join(operators), tuple(parts)) if operators else parts[0]

    def _union(self) -> Node:
        node = self._ratio()
        while self.peek() in SET_OPERATORS:
            operator = SET_OPERATORS[self._next().text]
            node = Node("union", operator, (node, self._ratio()))
        return node

    def _ratio(self) -> Node:
        parts = [self._sum()]
        while self.peek() == ":":
            self._next()
            parts.append(self._sum())
        return Node("ratio", "", tuple(parts)) if len(parts) > 1 else parts[0]

    def _sum(self) -> Node:
        parts = []
        sign = self._next().text if self.peek() in ADDING else "+"
        parts.append(_with_sign(sign, self._product()))
        while self.peek() in ADDING:
            sign = self._next().text
            while self.peek() in ("+", "-"):
                sign = "-" if (self._next().text == "-") != (sign == "-") else "+"
            parts.append(_with_sign(sign, self._product()))
        return Node("sum", "", tuple(parts)) if len(parts) > 1 else parts[0]

    def _product(self) -> Node:
        node = self._signed_factor()
        while True:
            following = self.peek()
            if following in MULTIPLYING:
                operator = self._next().text
                node = _combined(node, operator, self._signed_factor())
            elif self._starts_factor():
                is_integer = node.kind == "number" and node.text.isdigit()
                if self._tokens[self._position].kind == "number" and node.kind == "number":
                    node = self._mixed_number(node)
                    continue
                factor = self._factor()
                mixed = is_integer and following == "\\frac" and _is_plain_fraction(factor)
                node = Node("sum" if mixed else "product", "", (node, factor))
            else:
                return node

    def _mixed_number(self, whole: Node) -> Node:
        """Read the fraction of a mixed number, ``2 1/2``; other numbers in a row are no formula."""
        over, slash, under = self._next(), self._next(), self._next()
        figures = (whole.text, over.text, under.text)
        if slash.text != "/" or not all(text.isdigit() for text in figures):
            raise UnreadableFormula(f"two numbers in a row: {whole.text} {over.text}")
        fraction = call("divide", Node("number", over.text), Node("number", under.text))
        return Node("sum", "", (whole, fraction))

    def _signed_factor(self) -> Node:
        if self.peek() in ("+", "-"):
            return _with_sign(self._next().text, self._factor())
        return self._factor()

    def _factor(self) -> Node:
        """Read a primary and what stands behind it: powers, factorials, percent signs."""
        node = self._primary()
        while True:
            following = self.peek()
            if following == "^":
                self._next()
                if self._is_degree_sign():
                    node = Node("degrees", "", (node,))
                else:
                    node = Node("power", "", (node, self._argument()))
            elif following == "!":
                node = self._factorial(node)
            elif following == "%":
                self._next()
                node = call("percent", node)
            else:
                return node

    def _factorial(self, node: Node) -> Node:
        """Read ``6!`` and the double factorial ``6!! = 6 * 4 * 2``."""
        marks = 0
        while self.peek() == "!":
            self._next()
            marks += 1
        if marks > _MOST_MARKS:
            raise UnreadableFormula("more than two factorial signs")
        return call("factorial" if marks == 1 else "double_factorial", node)

    def _is_degree_sign(self) -> bool:
        """Read a degree sign behind ``^`` if there is one."""
        texts = [token.text for token in self._tokens[self._position : self._position + 3]]
        length = 1 if texts[:1] == ["\\circ"] else 3 if texts == ["{", "\\circ", "}"] else 0
        self._position += length
        return length > 0


def _with_sign(sign: str, node: Node) -> Node:
    if sign == "+":
        return node
    if sign == "-":
        return Node("negative", "", (node,))
    return Node("plus_minus", "+" if sign == "\\pm" else "-", (node,))


def _combined(left: Node, operator: str, right: Node) -> Node:
    if operator in ("/", "\\div"):
        return call("divide", left, right)
    if operator in ("\\mod", "\\bmod"):
        return call("mod", left, right)
    return Node("product", "", (left, right))


def _is_plain_fraction(node: Node) -> bool:
    return node.text == "divide" and all(
        part.kind == "number" and part.text.isdigit() for part in node.parts
    )
