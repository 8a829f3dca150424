r"""Read answers that are neither numbers nor formulas: choices, times of day, dates, remainders.

Each reader takes the words of an answer (:func:`shepherd.plain_text.plain_form`) and returns a
value that is equal for equal answers, or None where the answer has another form.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from shepherd.formulas.tokens import is_word
from shepherd.numbers import number
from shepherd.units import MATH_WORDS, is_counted

_MONTH_NAMES = (
    "january february march april may june july august september october november december"
)
_SHORT_NAMES = "no on yes odd one two six ten may red was saw now own won not dog god"

_CHOICE = re.compile(
    r"(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? *)?"
    r"(?:\(([A-Ja-j])\)|([A-J])(?:[).:](?= |$)|(?=$)))[.:]?"
    r"(?: +(?![-+*/=^_<>(&]|(?:and|or|not)\b)(\S.*))?",
    re.IGNORECASE | re.DOTALL,
)
_CLOCK = re.compile(
    r"(\d{1,2})(?::(\d\d))?(?::(\d\d))? ?(?:(a|p)\.? ?m\.?|(noon|midnight))?(?: ?o'?clock)?",
    re.IGNORECASE,
)
_REMAINDER = re.compile(
    r"(-?\d+),? ?(?:R\.?|rem\.?|(?:with )?(?:a )?remainder(?: of)?) ?(\d+)", re.IGNORECASE
)
_RESIDUE = re.compile(
    r"(?:(?P<name>[A-Za-z]) ?\\equiv ?)?(?P<value>-?\d{1,18}) ?"
    r"(?:\\pmod ?\{?(?P<modulus>\d{1,18})\}?|\( ?\\?(?:mod|bmod) ?\{?(?P<inner>\d{1,18})\}? ?\))"
)
_SELECTION = re.compile(
    r"(?P<kind>[CP]) ?\((?P<all>\d{1,3}), ?(?P<chosen>\d{1,3})\)"
    r"|(?:\{ ?\})?[_^]?\{?(?P<first>\d{1,3})\}? ?(?P<letter>[CP]) ?_?\{?(?P<second>\d{1,3})\}?"
)
_MONTHS = _MONTH_NAMES.split()
_DATE = re.compile(
    r"(?:(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})(?: of)? (?P<name>[A-Za-z]{3,9})\.?)(?:,? (?P<year>\d{4}))?"
)
_DATE_IN_FIGURES = re.compile(
    r"(?P<year>\d{4}) ?- ?(?P<month>\d\d?) ?- ?(?P<day>\d\d?)"
    r"|(?P<one>\d\d?)(?P<mark>[-/.])(?P<two>\d\d?)(?P=mark)(?P<last>\d{4}|\d\d)"
)
_FIGURES = r"\.?\d(?:[\d.,]*\d)?"
_DASHED = re.compile(rf"({_FIGURES})%?--?({_FIGURES})(%?)")
_SPELLED_RANGE = re.compile(
    rf"(?:(?:(?P<lead>from|between) )?(?P<low>{_FIGURES}%?) to|(?P<between>between) "
    rf"(?P<first>{_FIGURES}%?) and) (?P<high>{_FIGURES}%?)(?P<tail> [^\d]*)?",
    re.IGNORECASE,
)
_OPPOSITES = (
    "left right; up down; above below; upward downward; upwards downwards; forward backward; "
    "forwards backwards; north south; east west; clockwise counterclockwise; more less; more "
    "fewer; gain loss; profit loss; increase decrease; before after; early late; ahead "
    "behind; over under; older younger; taller shorter; faster slower; higher lower; boys girls; "
    "boy girl; men women; man woman; male female; males females; increased decreased; even odd; "
    "inside outside; deposit withdrawal; debit credit; positive negative; rise fall; rose fell; "
    "lost gained; lost won; lost found; loss win; clockwise anticlockwise; cheaper expensive; "
    "cheaper dearer; cheap expensive; heavier lighter; longer shorter; wider narrower; larger "
    "smaller; bigger smaller; greater smaller; greater less; warmer colder; warmer cooler; hotter "
    "colder; deeper shallower; richer poorer; surplus deficit; inclusive exclusive; heads tails; "
    "bought sold; added removed; earned spent; ascending descending; increasing decreasing; "
    "leftward rightward; northward southward; eastward westward; "
    "minimum maximum; ascent descent; import export; income expense; arrival departure"
)
_PREFIXED = re.compile(r"\b(anti|counter)[- ](?=clockwise)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]+)*")
_LETTERS = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}")
_IN_A_ROW = re.compile(r"[\d .,;/()]*\d \d[\d .,;/()]*")
_SHORT_WORDS = frozenset(_SHORT_NAMES.split())


@dataclass(frozen=True)
class Choice:
    """A letter of several choices, and the text that stands behind it, if any."""

    letter: str
    text: str
    is_bare: bool
    """The answer is the letter alone, without brackets."""


def choice(words: str) -> Choice | None:
    """Return the choice that an answer names: ``B``, ``(b)``, ``B) 42`` or ``Option B``.

    An answer of several letters, such as ``(A) and (C)``, is none.
    """
    match = _CHOICE.fullmatch(words)
    if not match:
        return None
    text = (match[3] or "").strip()
    return Choice(match[1] or match[2], text, is_bare=len(words) == 1)


def clock(words: str) -> tuple[int | None, int] | None:
    """Return a time of day: the half of the day (0, 1 or None) and seconds since it began."""
    match = _CLOCK.fullmatch(f"12 {words}" if words.lower() in ("noon", "midnight") else words)
    if not match or not (match[2] or match[4] or match[5] or "clock" in words):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if hour > 24 or minute > 59 or second > 59:
        return None
    half = None
    if match[4]:
        half = "ap".index(match[4].lower())
    elif match[5]:
        half = 1 if match[5].lower() == "noon" else 0
    elif hour > 12:
        half = 1
    return half, (hour % 12) * 3600 + minute * 60 + second


def same_time(first: tuple[int | None, int], second: tuple[int | None, int]) -> bool:
    """Say whether two times agree; a time without half of the day may be in either."""
    halves = {first[0], second[0]} - {None}
    return first[1] == second[1] and len(halves) < 2


def remainder(words: str) -> tuple[int, int] | None:
    """Return quotient and remainder of an answer such as ``7 R 2``."""
    match = _REMAINDER.fullmatch(words)
    return (int(match[1]), int(match[2])) if match else None


def same_remainders(left: str, right: str) -> bool | None:
    """Say whether two answers are one quotient with one remainder; None where neither has any."""
    first, second = remainder(left), remainder(right)
    return None if first is None and second is None else first == second


def same_residues(left: str, right: str) -> bool | None:
    r"""Say whether two answers such as ``x \equiv 5 \pmod 7`` are one class; None for others."""
    first, second = _RESIDUE.fullmatch(left), _RESIDUE.fullmatch(right)
    if first is None or second is None:
        return None
    moduli = [int(match["modulus"] or match["inner"]) for match in (first, second)]
    names = {first["name"], second["name"]} - {None}
    if moduli[0] != moduli[1] or moduli[0] == 0 or len(names) > 1:
        return False
    return (int(first["value"]) - int(second["value"])) % moduli[0] == 0


def selections(words: str) -> Fraction | None:
    """Return the number that ``C(5,2)``, ``{}_5C_2``, ``5C2`` and ``P(5,2)`` stand for.

    Beside a point, ``C(5,2)`` is the name of one: this is for an answer beside a number.
    """
    match = _SELECTION.fullmatch(words)
    if match is None:
        return None
    count = math.comb if (match["kind"] or match["letter"]) == "C" else math.perm
    return Fraction(count(*(int(match[a] or match[b]) for a, b in _OF_SELECTION)))


_OF_SELECTION = (("all", "first"), ("chosen", "second"))


def date(words: str) -> tuple[int | None, int, int] | None:
    """Return year, month and day of ``5 March``, ``March 5, 2020``, ``3/5/2020`` or ``2020-03-05``.

    Figures name the month first, as in the published problems, unless it is past 12.
    """
    figures = _DATE_IN_FIGURES.fullmatch(words)
    if figures:
        return _date_in_figures(figures)
    match = _DATE.fullmatch(words)
    if not match:
        return None
    name, day = (match["month"] or match["name"]).lower(), int(match["day"] or match["first"])
    months = [index for index, month in enumerate(_MONTHS, 1) if month.startswith(name)]
    year = int(match["year"]) if match["year"] else None
    return (year, months[0], day) if len(months) == 1 else None


def same_dates(left: str, right: str) -> bool | None:
    """Say whether two answers name one day; None where they are no dates.

    ``1/2/10`` and ``12-5-10`` are dates beside another date alone, else quotients and differences.
    """
    first, second = date(left), date(right)
    if first is None and second is None:
        return None
    alone = left if second is None else right if first is None else ""
    figures = _DATE_IN_FIGURES.fullmatch(alone)
    if figures and not figures["year"] and len(figures["last"]) < len("2000"):
        return None
    return first == second


def _date_in_figures(match: re.Match[str]) -> tuple[int, int, int] | None:
    if match["year"]:
        year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    else:
        year, month, day = int(match["last"]), int(match["one"]), int(match["two"])
        year += 2000 if len(match["last"]) == 2 else 0
    if month > 12:
        month, day = day, month
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


@dataclass(frozen=True)
class Range:
    """A range of numbers, such as ``20-30``."""

    ends: tuple[Fraction, Fraction]
    is_certain: bool
    """It is a range and nothing else; ``20 to 30`` may be a ratio."""


def number_range(words: str, normal: str) -> Range | None:
    """Return the range that an answer names: ``20-30``, ``from 20 to 30``, ``20 to 30 cm``."""
    dashed = _DASHED.fullmatch(normal)
    spelled = None if dashed else _SPELLED_RANGE.fullmatch(words)
    match = dashed or spelled
    if not match:
        return None
    if spelled and not all(map(_is_counted_or_end, _LETTERS.findall(spelled["tail"] or ""))):
        return None
    ends = dashed.groups()[:2] if dashed else (match["low"] or match["first"], match["high"])
    low, high = (number(end.strip("%")) for end in ends)
    if low is None or high is None or low >= high:
        return None
    is_certain = bool(dashed or match["lead"] or match["between"])
    return Range((low, high), is_certain=is_certain)


def _is_counted_or_end(word: str) -> bool:
    """Say whether a word behind a range leaves its ends as they are: *cm*, not *but*."""
    return is_counted(word) and word.lower() not in ("but", "except", "excluding", "without")


def _opposites() -> dict[str, frozenset[str]]:
    opposites: dict[str, frozenset[str]] = {}
    for pair in _OPPOSITES.split(";"):
        one, other = pair.split()
        opposites[one] = opposites.get(one, frozenset()) | {other}
        opposites[other] = opposites.get(other, frozenset()) | {one}
    return opposites


_OPPOSITE = _opposites()


def opposite_words(left: str, right: str) -> bool:
    """Say whether a word of one answer is the opposite of one in the other: 5 up, 5 down."""
    first, second = _words_with_opposites(left), _words_with_opposites(right)
    return any(_OPPOSITE[word] & (second - first) and word not in second for word in first)


def _words_with_opposites(words: str) -> set[str]:
    if not _LETTERS.search(words):
        return set()
    names = _LETTERS.findall(_PREFIXED.sub(r"\1", words).lower())
    forms = (_singular(name) for name in names)
    return {form for form in forms if form in _OPPOSITE}


def _singular(name: str) -> str:
    """Return ``loss`` for ``losses`` and ``win`` for ``wins``, where the shorter word is known."""
    shorter = (name, name.removesuffix("s"), name.removesuffix("es"))
    return next((form for form in shorter if form in _OPPOSITE), name)


def is_name(normal: str) -> bool:
    """Say whether a whole answer is a name or an order of points, not a product of letters."""
    if not _NAME.fullmatch(normal):
        return False
    if any(word in MATH_WORDS for word in normal.lower().split()):
        return False
    return " " in normal or len(normal) > 3 or not normal.islower() or normal in _SHORT_WORDS


def has_words(normal: str) -> bool:
    """Say whether words that are no mathematics stand in an answer."""
    return any(map(is_word, _LETTERS.findall(normal)))


def are_numbers_in_a_row(normal: str) -> bool:
    """Say whether an answer is numbers with blanks between them, such as ``3 4``."""
    return _IN_A_ROW.fullmatch(normal) is not None
