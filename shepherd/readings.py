"""Read answers for comparison: their plain form, their words and their value."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from shepherd.answers import boxed_answer
from shepherd.numbers import number
from shepherd.plain_text import MAX_LENGTH, plain_form

SEPARATOR = re.compile(r"[,;] ?")
_SENTENCE = re.compile(r"[A-Za-z]{2,}[ :]{1,2}(?:\$|\\[(\[])")
_FORMULA = re.compile(r"\$[^$]{1,400}\$(?!\d)|\\\(.{1,400}?\\\)|\\\[.{1,400}?\\\]", re.DOTALL)
_SAME = {
    **dict.fromkeys(
        ("all real numbers", "all reals", "real numbers", "the set of real numbers"), "\\mathbb{R}"
    ),
    **dict.fromkeys(
        ("(-\\infty,\\infty)", "(-\\infty,+\\infty)", "x\\in\\mathbb{R}"), "\\mathbb{R}"
    ),
    **dict.fromkeys(
        (
            *("the empty set", "empty set", "emptyset", "{}", "no solution", "no solutions"),
            *("there is no solution", "there are no solutions", "has no solution"),
        ),
        "\\emptyset",
    ),
    **dict.fromkeys(
        ("all integers", "integers", "the integers", "the set of integers", "n\\in\\mathbb{Z}"),
        "\\mathbb{Z}",
    ),
    "dne": "does not exist",
}
"""Other spellings of sets."""


@dataclass(frozen=True)
class Reading:
    """An answer as it is compared."""

    normal: str
    words: str
    condition: str
    value: Fraction | None


@lru_cache(maxsize=2**16)
def read_answer(answer: str) -> Reading:
    """Return an answer's forms and its value; cached, since rollouts repeat few answers."""
    plain = plain_form(_formula_within(answer))
    normal = _without_repetition(_SAME.get(plain.normal.lower(), plain.normal))
    return Reading(normal, plain.words, plain.condition, number(normal))


def _formula_within(answer: str) -> str:
    """Return the boxes, or the only formula, of an answer that is a sentence round it."""
    if "\\boxed" in answer:
        return boxed_answer(answer) or answer
    if len(answer) > MAX_LENGTH or not _SENTENCE.search(answer):
        return answer
    formulas = _FORMULA.findall(answer)
    return formulas[0] if len(formulas) == 1 else answer


def normal_form(answer: str) -> str:
    """Return the form of an answer that algebra reads."""
    return read_answer(answer).normal


def _without_repetition(normal: str) -> str:
    """Drop a number that another spelling repeats: ``15 39/40, 639/40`` is one item."""
    if "," not in normal or normal[:1] in ("(", "[", "{"):
        return normal
    items = SEPARATOR.split(normal)
    values = {number(item) for item in items}
    return items[0] if len(values) == 1 < len(set(items)) and None not in values else normal
