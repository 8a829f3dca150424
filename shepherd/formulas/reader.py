"""Parse the tokens of a formula by precedence: lists, relations, sums, products, powers."""

from shepherd.formulas.names import (
    ACCENTS,
    ADDING,
    CLOSING,
    CONSTANTS,
    FRACTIONS,
    FUNCTION_LETTERS,
    INVERSES,
    MATRICES,
    MULTIPLYING,
    OPENING,
    RELATIONS,
    ROUNDING,
    SET_OPERATORS,
    SHAPES,
)
from shepherd.formulas.tokens import FUNCTIONS, Token, tokens_of
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


class _Reader:
    """A recursive descent over tokens; each method reads one level and returns its node."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._bars = 0

    def peek(self) -> str | None:
        """Return the text of the next token, or None at the end."""
        tokens = self._tokens
        return tokens[self._position].text if self._position < len(tokens) else None

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

    def _next(self) -> Token:
        if self._position >= len(self._tokens):
            raise UnreadableFormula("ends too early")
        self._position += 1
        return self._tokens[self._position - 1]

    def _expect(self, text: str) -> None:
        if self._next().text != text:
            raise UnreadableFormula(f"no {text}")

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

    def _starts_factor(self) -> bool:
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

    def _skip_argument(self) -> None:
        depth = 0
        while True:
            token = self._next()
            depth += (token.text == "{") - (token.text == "}")
            if depth <= 0:
                return

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
        return self._named(f"\\{name}{{{inner}}}")

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
