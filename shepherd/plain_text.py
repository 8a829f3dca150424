r"""Take the dress off a bare answer: delimiters, faces, spacing, units, currency and spellings.

The result is for comparing, not for printing: braces of sets lose their backslash, and formulas
lose their spaces. What is mathematics stays mathematics: ``2\mathrm{e}^{x}`` is ``2e^{x}``.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from shepherd.measures import is_compound
from shepherd.number_words import SCALE_WORDS, money_in_thousands, number_in_words
from shepherd.unicode_math import ascii_math
from shepherd.units import is_counted, with_figures, without_currency, without_unit

MAX_LENGTH = 2000
"""Characters past which an answer is only stripped: no gold answer comes near."""
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("__", "__"))
_QUOTES = ('"', "'", "`", "``")
_DOUBLED = re.compile(r"(?<!\\)\\\\(?=(?:boxed|text|frac|left|right|sqrt|pi|cdot|times|infty)\b)")
_COMMANDS = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"), "\\frac"),
    **dict.fromkeys(("left", "right", "displaystyle", "textstyle", "limits", "nolimits"), ""),
    **dict.fromkeys(("big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr"), ""),
    **dict.fromkeys(("large", "Large", "LARGE", "huge", "Huge", "bf", "rm", "it"), ""),
    **dict.fromkeys(("leq", "leqslant", "leqq"), "\\le"),
    **dict.fromkeys(("geq", "geqslant", "geqq"), "\\ge"),
    **dict.fromkeys(("neq", "not="), "\\ne"),
    **dict.fromkeys(("lt",), "<"),
    **dict.fromkeys(("gt",), ">"),
    **dict.fromkeys(("lbrace", "lbrack"), "{"),
    **dict.fromkeys(("rbrace", "rbrack"), "}"),
    **dict.fromkeys(("lvert", "rvert", "vert", "mid"), "|"),
    **dict.fromkeys(("ast",), "*"),
    **dict.fromkeys(("varnothing",), "\\emptyset"),
    **dict.fromkeys(("dots", "cdots", "dotsc", "dotsb"), "\\ldots"),
    **dict.fromkeys(("colon",), ":"),
    **dict.fromkeys(("quad", "qquad", "space", "enspace", "thinspace"), " "),
    **dict.fromkeys(("degree", "degrees"), "^{\\circ}"),
    **dict.fromkeys(("prime",), "'"),
    "imath": "i",
    "jmath": "j",
    "tg": "\\tan",
    "arctg": "\\arctan",
    "sen": "\\sin",
    "ctg": "\\cot",
}
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_ESCAPES = {"\\{": "{", "\\}": "}", "\\%": "%", "\\$": "$", "\\#": "#", "\\_": "_", "\\&": "&"}
_ESCAPE = re.compile(r"\\[{}%$#_&]")
_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|,\\!|\\,|\\;|\\ |')(?=\d{3}(?!\d))")
_SPACING = re.compile(r"(?:(?<!\\)\\[!,;:> ]|~|\s)+")
_TEXT_FACE = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf|normal|up)?|textnormal|mbox|hbox)\s*\{([^{}]*)\}(?:\s*(?=\^))?"
)
_MATH_FACE = re.compile(
    r"\\(?:math(?:bf|rm|it|sf|tt|normal)|boldsymbol|bm(?!od)|pmb|operatorname\*?|rm|bf)\s*"
    r"(?:\{\s*([^{}]*?)\s*\}|([A-Za-z]))"
)
_FUNCTIONS = (
    "sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|log|ln|exp|min|max|gcd|lcm|det"
)
_FUNCTION_NAME = re.compile(_FUNCTIONS)
_ELLIPSIS = re.compile(r"\.\.\.+")
_DEGREES = re.compile(r"(?<=[\d})]) ?(?:\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z])))")
_DEGREES_OF = re.compile(_DEGREES.pattern + r" ?(?=[CFK](?![A-Za-z]))")
"""The sign of a temperature: its letter stays as the unit."""
_OHMS = re.compile(r"(?<=\d) ?([kM]?) ?\\Omega$")
_MICRO = re.compile(r"(?<=\d) \\mu ?(?=(?:[mgsLAVFJWNC]|mol|Pa|Hz)$)")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)|(?<![A-Za-z])(?:sin|cos|tan)\b")
_AND = re.compile(r" ?,? ?(?<![A-Za-z\\])(?:and|or)(?![a-z]) ?")
_TO = re.compile(r"^(\d[\d.,]*) to (\d[\d.,]*)$")
_FRACTION = re.compile(r"\\frac ?(?:\{([^{}]*)\}|(\w)) ?(?:\{([^{}]*)\}|(\w))")
_OVER = re.compile(r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}|^([^{}]*)\\over(?![A-Za-z])([^{}]*)$")
_ROOT = re.compile(r"\\sqrt ?(\w)")
_POWER = re.compile(r"\^ ?\((-?[\w./]+)\)|\^ ?(-\d+|\d{2,})|\^ ?\{ ?\((-?[\w./]+)\) ?\}")
_POWER_IN_WORDS = re.compile(
    r"(?<=[\w)}]) (?:(squared)|(cubed)|(?:raised )?to the power(?: of)? (-?\w+)"
    r"|(?:raised )?to the (\d+)(?:st|nd|rd|th) power)$"
)
_MINUS_IN_WORDS = re.compile(
    r"^(?:minus|negative) (?=[\d$€£.\\(]|[a-z](?![A-Za-z]))", re.IGNORECASE
)
_BELOW_ZERO = re.compile(r"^(?=[\d.])([^\n]{1,40}?) below (?:zero|0)$", re.IGNORECASE)
_BASE_IN_WORDS = re.compile(r"(?<=\w)_ ?\{? ?([a-z]{3,8}) ?\}?$")
_OPERATORS = {
    "plus or minus": "\\pm ",
    "plus": "+",
    "minus": "-",
    "multiplied by": "*",
    "divided by": "/",
}
_OPERATOR_IN_WORDS = re.compile(
    rf"(?<![A-Za-z\\])({'|'.join(_OPERATORS)}) (?=[\d\\(]|[b-z](?![A-Za-z]))"
)
_ASIDE = re.compile(r" ?\((?:approx|about|round|estimat|to the nearest)[^()]*\)$", re.IGNORECASE)
_ORDINAL = re.compile(r"(?<=\d)(?:\^ ?\{?|_)?(?:\\text)?\{?(?:st|nd|rd|th)\b\}*")
_SPACES = re.compile(
    r"(\\[A-Za-z]+) (?=[A-Za-z])|(?<=\d) (?=\d)|(?<=\d)(,) +(?=\d{3}(?!\d))"
    r"|(?<=[A-Za-z]{2})( )(?=[A-Za-z])|(?<=[A-Za-z])( )(?=[A-Za-z]{2})| "
)
_HEDGE = re.compile(
    r"(?:either\b|(?:is )?(?:approximately|approx\.?|about|roughly|around|exactly|only|just)\b"
    r"|\\approx(?![A-Za-z])|=|≈|~(?= ?\d)) ?"
)
_SCALED_NOUN = re.compile(
    rf"(?P<number>\S{{1,40}}(?: \S{{1,20}}){{0,8}}? (?:{'|'.join(sorted(SCALE_WORDS))}))"
    r"(?P<noun>(?: [A-Za-z]{2,20}){1,4})",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"(?:, ?| )\(?(?:for|if|where|whenever|with|provided|given|assuming|such that|as long as|when)"
    r"(?: (?:that|all|any|every|some|each))*(?= |\\|[A-Za-z]\b|$).*"
    r"| \([^()]*(?:[<>=]|\\(?:in|ge|ne|le)(?![A-Za-z]))[^()]*\)$"
    r"|, ?\(?(?:[A-Za-z](?:, ?[A-Za-z])*|-?\d+(?= ?(?:<|\\le) ?[a-z]))"
    r" ?(?:\\in|\\ge|\\ne|\\le|>|<)(?![A-Za-z]).*",
    re.DOTALL,
)
_FIGURE_OR_COMMAND = re.compile(r"[\d\\]")
_CASE = re.compile(r"(?<![A-Za-z])(?:for|if|when|where|otherwise|else)(?![A-Za-z])")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|approx)(?![A-Za-z])")


@dataclass(frozen=True)
class PlainForm:
    """An answer without dress."""

    normal: str
    """The form to compare: no units, no loose spaces, no condition."""
    words: str
    """The text before units, number words and spaces were dropped."""
    condition: str
    r"""The condition behind the answer, such as ``for k\\ge 1``; empty if there is none."""


def normalize(answer: str) -> str:
    """Return ``answer`` without dress; a percent sign stays, at the end."""
    return plain_form(answer).normal


def plain_form(answer: str) -> PlainForm:
    """Return ``answer`` without dress, with its words and its condition."""
    folded = ascii_math(answer.strip()) if len(answer) <= MAX_LENGTH else answer
    if len(folded) > MAX_LENGTH:
        return PlainForm(answer.strip(), answer.strip(), "")
    words = _undressed(folded)
    condition = _condition_of(words)
    words = with_figures(words.removesuffix(condition).rstrip(" ,") if condition else words)
    value = _value_in_words(words)
    if value is not None:
        return PlainForm(str(value), words, condition)
    text = words if is_compound(words) else _without_unit(words)
    text = _AND.sub(", ", _TO.sub(r"\1:\2", text))
    return PlainForm(_SPACES.sub(_kept_space, text.strip()), words, condition)


def _condition_of(words: str) -> str:
    match = _CONDITION.search(words, 1)
    if match is None or len(_CASE.findall(match.group())) > 1:
        return ""
    condition, before = match.group(), words[: match.start()]
    if condition[0] == "," and _RELATION.search(before):
        return ""
    is_argument = condition[:2] == " (" and not _FIGURE_OR_COMMAND.search(before)
    if is_argument:
        return ""
    return condition


def _undressed(answer: str) -> str:
    text = _unwrap(_DOUBLED.sub(r"\\", answer))
    if "\\" in text:
        text = _GROUPED.sub(",", text)
        text = _TEXT_FACE.sub(_as_words, text)
        text = _SPACING.sub(" ", _COMMAND.sub(_synonym, text))
        text = _MATH_FACE.sub(_without_face, text)
        text = _ESCAPE.sub(lambda escape: _ESCAPES[escape.group()], text)
        text = _FRACTION.sub(_braced, _OVER.sub(_over_as_fraction, text))
        text = _ROOT.sub(r"\\sqrt{\1}", text)
    else:
        text = _GROUPED.sub(",", _SPACING.sub(" ", text))
    text = _ELLIPSIS.sub(r"\\ldots", text).strip().rstrip("\\.,;").strip()
    text = _unwrap(_HEDGE.sub("", text, count=1) if _HEDGE.match(text) else text)
    text = _ASIDE.sub("", text.replace("**", "^"))
    text = _OPERATOR_IN_WORDS.sub(_operator, _MINUS_IN_WORDS.sub("-", text))
    text = _BASE_IN_WORDS.sub(_base_in_figures, _BELOW_ZERO.sub(r"-\1", text))
    text = _POWER_IN_WORDS.sub(_power_of_words, text)
    text = _POWER.sub(r"^{\1\2\3}", text) if "^" in text else text
    if "\\Omega" in text or "\\mu" in text:
        text = _OHMS.sub(r" \1ohm", _MICRO.sub(" u", text.rstrip()))
    if "\\circ" in text and not _TRIGONOMETRY.search(text):
        text = _DEGREES.sub("", _DEGREES_OF.sub(" ", text))
    return _ORDINAL.sub("", text)


def _value_in_words(text: str) -> Fraction | None:
    bare = without_currency(text).strip()
    if bare != text and (value := money_in_thousands(bare)) is not None:
        return value
    counted = _SCALED_NOUN.fullmatch(bare)
    # The noun of "3 million dollars" must not hide the scale, so that 3 is read.
    if counted and all(map(is_counted, counted["noun"].split())):
        bare = counted["number"]
    return number_in_words(bare)


def _without_unit(text: str) -> str:
    bare = without_currency(text).strip()
    return without_unit(_unwrap(bare))


def _synonym(match: re.Match[str]) -> str:
    return _COMMANDS.get(match[1], match.group())


def _as_words(match: re.Match[str]) -> str:
    is_raised = match.string[match.end() : match.end() + 1] == "^"
    return f" {match[1].strip()}" if is_raised else f" {match[1]} "


def _without_face(match: re.Match[str]) -> str:
    """Return a letter or a number in its plain face, a function as a command, a word as text."""
    inner = match[1] if match[1] is not None else match[2]
    if _FUNCTION_NAME.fullmatch(inner):
        return f"\\{inner} "
    if len(inner) > 1 and inner.isalpha() and match.group().startswith("\\operatorname"):
        return f"\\operatorname{{{inner}}}"
    return f" {inner}" if len(inner) > 1 and inner.isalpha() else inner


def _operator(match: re.Match[str]) -> str:
    return _OPERATORS[match[1]]


def _base_in_figures(match: re.Match[str]) -> str:
    """Return ``_{2}`` for ``_{two}``; other subscripts stay."""
    base = number_in_words(match[1])
    return match.group() if base is None else f"_{{{base}}}"


def _power_of_words(match: re.Match[str]) -> str:
    exponent = "2" if match[1] else "3" if match[2] else match[3] or match[4]
    return f"^{{{exponent}}}"


def _braced(match: re.Match[str]) -> str:
    over = match[1] if match[1] is not None else match[2]
    under = match[3] if match[3] is not None else match[4]
    return f"\\frac{{{over}}}{{{under}}}"


def _over_as_fraction(match: re.Match[str]) -> str:
    over, under = (match[1], match[2]) if match[1] is not None else (match[3], match[4])
    return f"\\frac{{{over.strip()}}}{{{under.strip()}}}"


def _kept_space(match: re.Match[str]) -> str:
    if match[1] or match[2]:
        return match.group() if match[1] else ", "
    # Words stay apart, since one of them may change the number: 5 less than x.
    return " " if match[3] or match[4] or _between_digits(match) else ""


def _between_digits(match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    return text[start - 1 : start].isdigit() and text[end : end + 1].isdigit()


def _unwrap(text: str) -> str:
    """Take away the delimiters of formulas, boxes and quotes round the whole text."""
    while True:
        inner = _unwrapped_once(text)
        if inner == text:
            return text
        text = inner


def _unwrapped_once(text: str) -> str:
    for opening, closing in (*_WRAPPERS, *((quote, quote) for quote in _QUOTES)):
        if text.startswith(opening) and text.endswith(closing) and len(text) > 2 * len(opening):
            inner = text[len(opening) : -len(closing)]
            if opening not in inner and closing not in inner:
                return inner.strip()
    if text.startswith("\\boxed{") and text.count("\\boxed") == 1:
        return text[7:-1].strip() if text.endswith("}") else text[7:].strip()
    return text
