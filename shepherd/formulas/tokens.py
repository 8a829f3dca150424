r"""Cut a formula into tokens: numbers, letters, commands, words and signs."""

import re
from dataclasses import dataclass

from shepherd.formulas.tree import UnreadableFormula

_FUNCTION_NAMES = (
    "sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh log ln lg exp "
    "sqrt min max gcd lcm arcsec arccsc arccot abs floor ceil"
)
_GREEK_NAMES = "alpha beta gamma delta theta lambda mu sigma omega phi psi rho tau"

_TOKEN = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d{1,3}(?: \d{3})+(?!\d)"
    r"|\d*\.\d*\\(?:overline|bar|dot)\{\d+\}|\d*\.\d*\(\d+\)|\d+(?:\.\d*)?|\.\d+)"
    r"|(?P<operator>\\operatorname\{[A-Za-z]+\})"
    r"|(?P<command>\\(?:(?:begin|end)\{[A-Za-z]+\}|[A-Za-z]+|\\|\|))"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<sign><=|>=|!=|==|=<|[-+*/^_!'()\[\]{}|,;=<>:&%])"
)
_GROUPED = re.compile(r",\d{3}")
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_CONSTANTS = {"infinity": "infty", "inf": "infty", "oo": "infty", "pi": "pi"} | {
    name: name for name in _GREEK_NAMES.split()
}
_SIGN_NAMES = {"<=": "\\le", "=<": "\\le", ">=": "\\ge", "!=": "\\ne", "==": "="}
_GLUED_NAMES = "arcsin|arccos|arctan|sqrt|sin|cos|tan|log|ln|exp|pi"
_GLUED = re.compile(rf"[a-z]?(?:(?:{_GLUED_NAMES})[a-z]?)+")
_LONGEST_PRODUCT = 3
"""Letters of a product without a sign; a longer run is a word."""


@dataclass(frozen=True)
class Token:
    """One token: ``number``, ``letter``, ``command`` (with its backslash), ``operator`` (the
    command and the name) or ``sign``."""

    kind: str
    text: str


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of ``text``.

    Raises:
        UnreadableFormula: a character or a word that is no mathematics.
    """
    tokens: list[Token] = []
    position, depth = 0, 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if not match:
            raise UnreadableFormula(f"no formula has {text[position]!r}")
        kind, found = match.lastgroup or "", match.group()
        if kind == "number" and depth and _GROUPED.search(found):
            # Within brackets a comma separates items: (1,234) is a point.
            found = found.partition(",")[0]
        position += len(found)
        depth += (found in ("(", "[", "{")) - (found in (")", "]", "}"))
        tokens += (
            _word_tokens(found) if kind == "word" else [Token(kind, _SIGN_NAMES.get(found, found))]
        )
    return tokens


def is_word(run: str) -> bool:
    """Say whether a run of letters is a word: neither a product, a function nor a constant."""
    is_known = run in FUNCTIONS or run.lower() in _CONSTANTS or _GLUED.fullmatch(run)
    return not is_known and len(run) > _LONGEST_PRODUCT and not run.isupper()


def _word_tokens(word: str) -> list[Token]:
    """Return a word as commands where it names functions and constants, else as letters."""
    lowered = word.lower()
    if word in FUNCTIONS or lowered in _CONSTANTS:
        return [Token("command", "\\" + _CONSTANTS.get(lowered, word))]
    if _GLUED.fullmatch(word):
        parts = re.findall(_GLUED_NAMES + "|[a-z]", word)
        return [
            Token(
                "letter" if len(part) == 1 else "command", part if len(part) == 1 else "\\" + part
            )
            for part in parts
        ]
    if is_word(word):
        raise UnreadableFormula(f"{word!r} is a word")
    return _letters(word)


def _letters(word: str) -> list[Token]:
    return [Token("letter", letter) for letter in word]
