"""Walk over the tokens of a formula from left to right."""

from shepherd.formulas.tokens import Token
from shepherd.formulas.tree import UnreadableFormula


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    def peek(self) -> str | None:
        """Return the text of the next token, or None at the end."""
        tokens = self._tokens
        return tokens[self._position].text if self._position < len(tokens) else None

    def _next(self) -> Token:
        if self._position >= len(self._tokens):
            raise UnreadableFormula("ends too early")
        self._position += 1
        return self._tokens[self._position - 1]

    def _expect(self, text: str) -> None:
        if self._next().text != text:
            raise UnreadableFormula(f"no {text}")

    def _skip_argument(self) -> None:
        depth = 0
        while True:
            token = self._next()
            depth += (token.text == "{") - (token.text == "}")
            if depth <= 0:
                return
