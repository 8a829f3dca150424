r"""Find where a value begins and ends in the prose that it stands in."""

import json
import re
from typing import Literal

from shepherd.answers.marks import CHOSEN

_LINE = re.compile(r"[\s*_]*([^\n]*)")
_DISPLAY = re.compile(r"[\s*_]*(\$\$|\\\[|\\begin\{([a-z]+)\*?\})")
_MATH = re.compile(
    r"(?<![\\$])\$(?![\s$])((?:[^$\\\n]|\\.){1,400})\$(?!\d)"
    r"|\\\(((?:[^\\]|\\[^()]){1,400})\\\)|\\\[((?:[^\\]|\\[^][]){1,400})\\\]|\$\$([^$]{1,400})\$\$",
    re.DOTALL,
)
_NUMBER = re.compile(r"(?<![\w.])-?[$£€]?(?:\d(?:[\d,]*\d)?(?:\.\d+)?|\.\d+)(?:/\d+)?%?")
_WORD_OR_VALUE = re.compile(
    r"(?<![\\{A-Za-z])(?!(?:sqrt|pi|sin|cos|tan|log|ln|exp|frac)\b)[a-z][A-Za-z]+\b"
    r"|(?<![\\{A-Za-z])[A-Z][a-z]+\b|(?P<value>[\d$\\])"
)
_BARE = re.compile(r"[^A-Za-z\n]{1,200}")
_HEDGE = re.compile(
    r"(?:(?:approximately|approx\.|about|roughly|around|exactly|simply|just|equal to|equals)\b"
    r"|[≈=:：~]|\\approx\b|(?:[Oo]ption|[Cc]hoice|[Ll]etter)\b[ *:]*(?=\(?[A-J](?![A-Za-z])))\s*"
)
_NOT = re.compile(r"not\b(?:[^.\n]{0,200}?\bbut(?: rather)?\s+(?P<but>.*))?", re.IGNORECASE)
_CHOSEN = re.compile(CHOSEN)
_LETTERED = re.compile(
    r"[*_]*\(?(?P<letter>[A-J])(?:\)|\.(?= ))?[*_]*,? which (?:is|equals|has the value(?: of)?) "
)
"""A letter of several choices before its value."""
_END = r"(?:\$[^$\n]{1,60}\$|\\\([^\n]{1,60}?\\\)|-?[$€£]?\d(?:[\d,.]{0,20}\d)?%?)"
_RANGE = re.compile(
    rf"(?:(?:anywhere|somewhere) )?(?:(?:from|between) {_END} (?:and|to)|either {_END} or) {_END}"
)
_IS_RANGE = re.compile(rf"\b(?:is|are|was|be|lies?|falls?|ranges?) (?P<range>{_RANGE.pattern})")
"""Two numbers that are one answer: the second one alone is another."""
_ROOT = r"\s?=\s?[-+]?[\d\\][^\s$,;=]{0,40}\$?"
_ROOTS = re.compile(
    rf"(?<![A-Za-z\\])\$?(?P<name>[A-Za-z]){_ROOT}(?:,\s+\$?(?P=name){_ROOT}){{0,10}}"
    rf",?\s+(?:or|and)\s+\$?(?P=name){_ROOT}"
)
"""Several values of one variable, such as ``x = 5 or x = -3``."""
_LONGEST_RANGE = 200
"""Characters in which a range or a list of roots begins before its last value."""
_COPULA = re.compile(
    r"(?<!there )\b(?:is|are|was|equals|equal to|be)\s+(?=(?:about |approximately |\\approx ?|≈ ?)?"
    r"\**(?:[-+]?[$£€]?[\d.\\(]|\$))"
)
_CONCLUDED = re.compile(
    rf"(?:{_COPULA.pattern}|\b(?:so|thus|therefore|hence|meaning|giving|making|gives|makes|gets?"
    r"|total of|there (?:is|are|were|will be))\s+|=\s*)(?=[^\n]{0,100}\d)"
)
"""What leads from a range to the one value that is the answer."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:[ap]\.m|mr|mrs|ms|dr|st|vs|e\.g|i\.e|ft|in|sq|cu|oz|lbs?|hrs?|mins?|secs?|no)"
    r"|(?:^|[\s(])[A-Z])$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z\"'(*\\$])|(?<=\d)[.!](?=\s+[a-z])|[。！？]")
_CLAUSE = re.compile(
    r",?\s+(?:because|since|rather than|instead of|as (?:we|it|the|you|per|shown|required)"
    r"|not|but|so)\b"
    r"|,\s+(?!(?:and|or)\b)(?=[a-z]{2,}\b)|,\s+(?:and|or)\s+(?=[a-z]{2,}\s)"
    r"|\s+\((?=[^()]{0,100}(?<![\\A-Za-z])(?!(?:sin|cos|tan|log|ln|sqrt|pi|mod)\b)[A-Za-z]{2,})"
    r"|\s+\((?=[=≈~])|\s+[—–]\s+(?=[A-Za-z])|;\s+(?=[a-z]{3,}\b)|\s+which\b"
    r"|\s+(?:from|with|by|after|among|at|for(?! every| each| all| any))\s+(?=[^.\n]{0,200}\d)"
)
_ASIDE = re.compile(
    r"(?<!\band)(?<!\bbut),?\s+(?:because|since|so that|rather than|instead of)\b"
    r"|,\s+(?:but )?not\b"
    # A restatement in another unit stays: 72 months, which is 6 years.
    r"|,\s+which\b(?!\s+(?:is|are|equals|comes to)\s+[$\d][^.\n]{0,40}\.?$)"
    r"|,\s+which\b(?=[^.\n]{0,80}\bthan\b)"
)
_CONCLUSION = re.compile(
    r"(?:\b(?:is|are|was|get|gets|got|have|has|obtain|find|gives?|yields?|equals?)|[=≈])\s*"
    r"(?P<value>-?[$£€]?(?:\d(?:[\d,]*\d)?(?:\.\d+)?|\.\d+)(?:/\d+)?%?)(?:\s+[a-z]{1,20}){0,3}?"
    r"(?:,?\s+(?:which (?:is|was|are|matches|agrees|satisfies)|not|because|since|rather than"
    r"|instead of|out of)\b|\s+\((?:out of|not|i\.e|since|because|rather)\b)"
)
_SENTENCE_BREAK = re.compile(r"(?<=[.!?。！？])\s+|\n+|(?<=[。！？])")
_STRING = re.compile(r'"(?:[^"\\]|\\.){0,2000}"')
_JSON_FIELD = re.compile(
    r"\{[^{}]{0,200}?[\"'](?:value|result|answer|number|amount)[\"']\s*:\s*", re.IGNORECASE
)
_JSON_VALUE = re.compile(r"\[[^\]\n]{0,500}\]|[^,}\n]{1,500}")
_END_TAG = re.compile(r"</(?:final_?)?(?:answer|ans)>", re.IGNORECASE)
_VALUE_BEFORE = re.compile(r"[\d\\]|^\S{1,3}$")
"""A number, a formula or a choice: a clause behind it is no part of the answer."""
_EMPTY = re.compile(r"[\s*_.…?$\\()\[\]{}:,;#-]*")

Guess = tuple[str, Literal["bare", "last_math", "last_number"]]


def value_after(body: str, start: int) -> str | None:
    """Return the answer behind a mark; if words come first, the value that they lead to."""
    display = _DISPLAY.match(body, start)
    if display:
        closing = {"$$": "$$", "\\[": "\\]"}.get(display[1], f"\\end{{{display[2]}")
        end = body.find(closing, display.end())
        if end >= 0:
            return _without_closing(body[display.start(1) : end] + closing) or None
    line = _LINE.match(body, start)
    return _value_in(line[1]) if line else None


def tagged_value(body: str, mark: re.Match[str]) -> str | None:
    """Return the content of ``<answer>``, or the value of a JSON field named ``answer``.

    An object has a value only in a field with such a name.
    """
    if mark.lastgroup == "tag":
        end = _END_TAG.search(body, mark.end())
        content = body[mark.end() : end.start() if end else len(body)].strip()
        return _value_in(content) if "\n" not in content else value_after(content, 0)
    field = _JSON_FIELD.match(body, mark.end())
    start = field.end() if field else mark.end()
    text = _STRING.match(body, start)
    if text:
        try:
            return str(json.loads(text.group())).strip()
        except ValueError:
            return text.group()[1:-1].strip()
    value = _JSON_VALUE.match(body, start)
    if value is None or value.group().startswith("{"):
        return None
    content = value.group().strip(" '\"\t[]")
    return None if content in ("null", "None") else content


def guessed_value(body: str) -> Guess | None:
    """Take a bare expression as it is, else the last formula or number, whichever ends later."""
    if _BARE.fullmatch(body.strip()) and _NUMBER.search(body):
        return body.strip(), "bare"
    math, number = _last(_MATH, body), _last(_NUMBER, body)
    is_math = math is not None and (number is None or math.end() >= number.end())
    last = math if is_math else number
    if last is None:
        return None
    conclusion = _last(_CONCLUSION, _sentence_with(body, last.start()))
    values = None if conclusion else _values_at(body, last.start())
    if values:
        return values, "last_math" if is_math else "last_number"
    if math and is_math:
        inner = next(group for group in math.groups() if group is not None)
        return _without_closing(inner), "last_math"
    return conclusion["value"] if conclusion else last.group(), "last_number"


def _value_in(line: str) -> str | None:
    line = _without_hedge(line.strip("*_ \t\r"))
    denied = _NOT.match(line)
    if denied:
        return _value_in(denied["but"]) if denied["but"] else None
    chosen = _CHOSEN.match(line)
    if chosen:
        return str(chosen["chosen"])
    lettered = _LETTERED.match(line)
    value = _value_in(line[lettered.end() :]) if lettered else None
    if lettered and value:
        return f"{lettered['letter']}) {value}"
    bare = _without_closing(line)
    if _EMPTY.fullmatch(bare):
        return None
    first = _WORD_OR_VALUE.search(bare)
    sentence = _first_sentence(line)
    if first is None or first["value"]:
        return _without_closing(_without_clause(sentence)) or None
    return _value_in_prose(sentence)


def _value_in_prose(sentence: str) -> str | None:
    """Return the value that a sentence leads to: behind a range, behind its verb, or its last."""
    masked = _masked(sentence)
    aside = _ASIDE.search(masked)
    if aside and _VALUE_BEFORE.search(masked[: aside.start()]):
        sentence, masked = sentence[: aside.start()], masked[: aside.start()]
    between = _RANGE.match(sentence) or _last(_IS_RANGE, sentence)
    start = between.end() if between else 0
    verb = _last(_CONCLUDED if between else _COPULA, masked[start:])
    if verb:
        return _value_in(sentence[start + verb.end() :])
    if between:
        start = between.start("range") if between.re is _IS_RANGE else 0
        return _without_closing(_without_clause(sentence[start:])) or None
    guess = guessed_value(sentence)
    return guess[0] if guess else _without_closing(sentence) or None


def _without_hedge(line: str) -> str:
    while hedge := _HEDGE.match(line):
        line = line[hedge.end() :]
    return line


def _masked(line: str) -> str:
    """Return a line with a nought for each character of its formulas."""
    return _MATH.sub(lambda formula: "0" * len(formula.group()), line)


def _first_sentence(line: str) -> str:
    masked = _masked(line)
    for end in _SENTENCE_END.finditer(masked):
        before = masked[max(0, end.start() - 8) : end.start()]
        if end.group() not in ".!?" or not _ABBREVIATION.search(before):
            return line[: end.start()]
    return line


def _without_clause(line: str) -> str:
    """Cut a line behind its value, where a clause begins."""
    masked = _masked(line)
    for clause in _CLAUSE.finditer(masked):
        if _VALUE_BEFORE.search(masked[: clause.start()]):
            return line[: clause.start()]
    return line


def _without_closing(line: str) -> str:
    bare = line.strip("*_ \t\r").rstrip(".,;:! 。")
    return bare.removesuffix("I hope it is correct").rstrip(".,;:!* ")


def _sentence_with(body: str, position: int) -> str:
    """Return the sentence that holds the character at ``position``."""
    start = max(body.rfind("\n", 0, position), position - 1000, 0)
    for sentence_end in _SENTENCE_BREAK.finditer(body, start, position):
        start = sentence_end.end()
    end = _SENTENCE_BREAK.search(body, position, position + 1000)
    return body[start : end.start() if end else position + 1000]


def _values_at(body: str, position: int) -> str | None:
    """Return the range, or the roots joined by *or*, that end with the value at ``position``."""
    start = max(body.rfind("\n", 0, position), position - _LONGEST_RANGE, 0)
    window = body[start : position + _LONGEST_RANGE]
    between, roots = _last(_IS_RANGE, window), _last(_ROOTS, window)
    if between and start + between.end() > position:
        return between["range"]
    if roots and start + roots.end() > position:
        return _without_closing(roots.group().replace("$", ""))
    return None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for match in pattern.finditer(text):  # noqa: B007
        pass
    return match
