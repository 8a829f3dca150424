"""Read what stands between the operators of a formula: numbers, names, brackets, commands."""

from abc import ABC, abstractmethod

from shepherd.formulas.cursor import Cursor
from shepherd.formulas.names import (
    ACCENTS,
    CLOSING,
    CONSTANTS,
    FRACTIONS,
    FUNCTION_LETTERS,
    INVERSES,
    MATRICES,
    OPENING,
    ROUNDING,
    SHAPES,
)
from shepherd.formulas.tokens import FUNCTIONS, Token
from shepherd.formulas.tree import Node, UnreadableFormula, call


class OperandReader(Cursor, ABC):
    """The lower half of the descent. Operands hold formulas, which the upper half reads."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self._bars = 0

    @abstractmethod
    def items(self, brackets: str) -> Node:
        """Read items between commas; one item without brackets is itself."""

    @abstractmethod
    def _relation(self) -> Node:
        """Read a relation, or what can be a side of one."""

    @abstractmethod
    def _signed_factor(self) -> Node:
        """Read a factor and the sign before it."""

    @abstractmethod
    def _factor(self) -> Node:
        """Read an operand and what stands behind it: powers, factorials, percent signs."""

    def _starts_factor(self) -> bool:
        """Say whether an operand begins here."""
        if self._position >= len(self._tokens):
            return False
        token = self._tokens[self._position]
        if token.kind in ("number", "letter") or token.text in OPENING:
            return True
        if token.text == "|":
            return self._bars == 0
        name = token.text[1:]
        known = CONSTANTS | FUNCTIONS | ACCENTS | SHAPES | {"vec"}
        return token.kind == "operator" or (
            token.kind == "command"
            and (
                name in known
                or name in FRACTIONS
                or name == "sqrt"
                or name.startswith("begin{")
                or token.text in ROUNDING
            )
        )

    def _argument(self) -> Node:
        """Read ``{...}``, or one token, as the argument of a command or a power."""
        if self.peek() == "{":
            self._next()
            node = self.items("")
            self._expect("}")
            return node
        if self.peek() == "-":
            self._next()
            return Node("negative", "", (self._primary(),))
        token = self._tokens[self._position : self._position + 1]
        if (
            token
            and token[0].kind == "number"
            and token[0].text.isdigit()
            and len(token[0].text) > 1
        ):
            self._tokens[self._position : self._position + 1] = [
                Token("number", digit) for digit in token[0].text
            ]
        return self._primary()

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "number":
            if token.text.endswith(".") and self.peek() in OPENING:
                raise UnreadableFormula(f"no decimals behind {token.text}")
            return Node("number", token.text) if self.peek() != "_" else self._named(token.text)
        if token.kind == "letter":
            return self._letter(token.text)
        if token.text in OPENING:
            return self._bracketed(token.text)
        if token.text in ("|", "\\|"):
            return self._absolute(token.text)
        if token.kind in ("command", "operator"):
            return self._command(token.text[1:])
        raise UnreadableFormula(f"unexpected {token.text}")

    def _letter(self, letter: str) -> Node:
        node = self._named(letter)
        is_function = letter in FUNCTION_LETTERS and self.peek() == "("
        if is_function and self._tokens[self._position + 2 : self._position + 3] == [
            Token("sign", ")")
        ]:
            self._next()
            return call(node.text, self._bracketed("("))
        return node

    def _named(self, name: str) -> Node:
        """Read the subscripts and primes of a name."""
        while self.peek() in ("_", "'"):
            mark = self._next().text
            if mark == "_":
                start = self._position
                self._skip_argument()
                inner = "".join(token.text for token in self._tokens[start : self._position])
                mark += inner.strip("{}")
            name += mark
        if self.peek() == "^" and [t.text for t in self._tokens[self._position + 1 :][:2]] == [
            "{",
            "'",
        ]:
            self._position += 2
            while self.peek() == "'":
                name += self._next().text
            self._expect("}")
        return Node("symbol", name)

    def _bracketed(self, opening: str) -> Node:
        if self.peek() == "}" and opening == "{":
            self._next()
            return Node("symbol", "emptyset")
        bars, self._bars = self._bars, 0
        node = self.items(opening)
        self._bars = bars
        closing = self._next().text
        if closing not in CLOSING:
            raise UnreadableFormula(f"unexpected {closing}")
        brackets = CLOSING[closing][1] if opening == "\\langle" else CLOSING[closing]
        brackets = ("(" if opening == "\\langle" else opening) + brackets[-1]
        if len(node.parts) == 1 and brackets in ("()", "[]", "{}"):
            is_set = brackets == "{}" and node.parts[0].text in ("emptyset", "\\emptyset")
            # Braces group all but the empty set, which is no set of one element.
            return call("set", *node.parts) if is_set else node.parts[0]
        return Node("list", brackets, node.parts)

    def _absolute(self, bar: str) -> Node:
        self._bars += 1
        node = self.items("")
        self._bars -= 1
        self._expect(bar)
        return call("abs", node)

    def _command(self, name: str) -> Node:
        """Read what a command begins: a function, a constant, a fraction, a matrix."""
        if name in FUNCTIONS and name != "sqrt":
            return self._function(name)
        if name in ("pi", "infty"):
            return Node("symbol", "\\" + name)
        if name in CONSTANTS:
            return self._named("\\" + name)
        if name in ACCENTS or name in SHAPES:
            return self._accented(name)
        return self._structure(name)

    def _structure(self, name: str) -> Node:
        """Read a command with arguments in braces, or an environment."""
        node: Node | None = None
        if name in FRACTIONS:
            over = self._argument()
            node = call(FRACTIONS[name], over, self._argument())
        elif name == "sqrt":
            node = self._root()
        elif name == "vec":
            node = self._argument()
        elif name.startswith("operatorname{"):
            node = call(name[13:-1], self._primary())
        elif name.startswith("begin{"):
            node = self._matrix(name[6:-1])
        elif "\\" + name in ROUNDING:
            function, closing = ROUNDING["\\" + name]
            node = call(function, self.items(""))
            self._expect(closing)
        if node is None:
            raise UnreadableFormula(f"unknown command \\{name}")
        return node

    def _accented(self, name: str) -> Node:
        r"""Read a name that a command marks, such as ``\overline{AB}`` and ``\angle ABC``."""
        start = self._position
        if self.peek() == "{":
            self._skip_argument()
        while name in SHAPES and self._position < len(self._tokens):
            if self._tokens[self._position].kind != "letter":
                break
            self._next()
        if start == self._position:
            self._next()
        inner = "".join(token.text for token in self._tokens[start : self._position]).strip("{}")
        if name in ("hat", "widehat") and inner in ("i", "j", "k"):
            return Node("symbol", inner)
        return self._named(f"\\{name}{{{_in_one_order(name, inner)}}}")

    def _root(self) -> Node:
        index = None
        if self.peek() == "[":
            self._next()
            index = self.items("")
            self._expect("]")
        radicand = self._bracketed("(") if self.peek() == "(" and self._next() else self._argument()
        return call("root", radicand, index) if index else call("root", radicand)

    def _function(self, name: str) -> Node:
        """Read a function with its base, its power and its argument."""
        base = power = None
        while self.peek() in ("_", "^"):
            mark = self._next().text
            argument = self._argument()
            base, power = (argument, power) if mark == "_" else (base, argument)
        if power == Node("negative", "", (Node("number", "1"),)) and name in INVERSES:
            name, power = f"arc{name}", None
        argument = self._function_argument()
        arguments = argument.parts if argument.kind == "list" else (argument,)
        node = call(name, *arguments) if base is None else call(f"{name}_base", *arguments, base)
        return node if power is None else Node("power", "", (node, power))

    def _function_argument(self) -> Node:
        """Read ``(...)`` alone, or the product of letters and numbers that follows."""
        if self.peek() in ("(", "{", "["):
            return self._factor()
        parts = [self._signed_factor()]
        while self._starts_factor():
            token = self._tokens[self._position]
            is_name = token.kind in ("number", "letter") or token.text[1:] in CONSTANTS
            if not (is_name or token.text == "\\frac"):
                break
            parts.append(self._factor())
        return Node("product", "", tuple(parts)) if len(parts) > 1 else parts[0]

    def _matrix(self, environment: str) -> Node:
        if environment not in MATRICES:
            raise UnreadableFormula(f"unknown environment {environment}")
        if environment == "array" and self.peek() == "{":
            self._skip_argument()
        end = f"\\end{{{environment}}}"
        rows: list[Node] = []
        cells: list[Node] = []
        while True:
            if self.peek() not in ("&", "\\\\", end):
                cells.append(self._relation())
            separator = self._next().text
            if separator == "&":
                continue
            if cells:
                rows.append(Node("row", "", tuple(cells)))
            cells = []
            if separator == end:
                return Node("matrix", environment, tuple(rows))
            if separator != "\\\\":
                raise UnreadableFormula(f"unexpected {separator}")


def _in_one_order(shape: str, points: str) -> str:
    """Return the points of a shape in the order that all of its names share."""
    if len(points) != len("ABC") or not points.isalpha() or not points.isupper():
        return points
    if shape in ("angle", "measuredangle"):
        return min(points, points[::-1])
    return "".join(sorted(points)) if shape == "triangle" else points
