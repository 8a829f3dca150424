r"""Find the final answer in the text of a solution.

The published corpora close a solution in different ways: ``The answer is: X`` (MetaMATH and
Math-Shepherd), ``#### X`` (GSM8K), ``\boxed{X}`` (MATH), ``A: X`` (GPT-3 on GSM8K) and ``Final
Answer: The final answer is X`` (Minerva's prompt). Of all such marks the last one counts, since
a solution may correct itself. Time is linear in the length of the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

Source = Literal["answer_is", "hashes", "boxed", "a_line", "last_math", "last_number"]
"""The mark that an answer stood at; the two ``last_*`` are guesses where no mark was found."""

_MARK = re.compile(
    r"(?P<boxed>\\f?boxed[ ]?(?=\{))"
    r"|(?P<hashes>\#{4}[ \t]+(?=[-+$£€\\(\[{.\d]|\S+[ \t]*$))"
    r"|(?P<a_line>^A:[ \t]*(?=\S))"
    r"|(?P<answer_is>\b[Aa]nswer(?:[ \t]+[A-Za-z']{1,20}){0,6}?(?:[ \t]+is\b[ \t]*:?|[ \t]*[:=]))",
    re.MULTILINE,
)
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>")
_MATH = re.compile(
    r"(?<![\\$])\$(?![\s$])((?:[^$\\\n]|\\.){1,400})\$(?!\d)"
    r"|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]|\$\$([^$]{1,400})\$\$",
    re.DOTALL,
)
_NUMBER = re.compile(r"(?<![\w.])-?[$£€]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?%?")
_PROSE = re.compile(r"\b(?!and\b|or\b)[A-Za-z]{2,}\b[ \t]+[A-Za-z]{2,}")
_CLOSING = re.compile(r"[ \t]*(?:I hope it is correct\.?|\*\*|[.,;:!])+$")


@dataclass(frozen=True)
class Extraction:
    """An answer and the mark it was found at."""

    answer: str
    source: Source


def extract_answer(text: str) -> str | None:
    """Return the final answer of ``text``, or None if it holds no answer at all."""
    extraction = extract_answer_with_source(text)
    return None if extraction is None else extraction.answer


def extract_answer_with_source(text: str) -> Extraction | None:
    """Return the final answer of ``text`` and how it was found, or None."""
    body = _answering_part(text)
    for mark in reversed(list(_MARK.finditer(body))):
        source: Source = mark.lastgroup  # type: ignore[assignment]
        answer = _boxed(body, mark.end()) if source == "boxed" else _closing(body, mark.end())
        if answer:
            return Extraction(answer, source)
    return _guess(body)


def _answering_part(text: str) -> str:
    r"""Cut thoughts before the answer, chat turns after it and GSM8K's ``<<3*2=6>>``."""
    body = text.rpartition("</think>")[2].partition("<|")[0]
    return _CALCULATION.sub("", body) if "<<" in body else body


def _boxed(body: str, start: int) -> str | None:
    """Return what stands between the brace at ``start`` and its partner; None if cut off."""
    depth = 0
    for brace in re.finditer(r"\\.|[{}]", body[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0 and brace.group() == "}":
            return body[start + 1 : start + brace.start()].strip()
    return None


def _closing(body: str, start: int) -> str | None:
    """Return the answer on the line that follows a mark; of a sentence, the last value in it."""
    line = body[start:].lstrip().partition("\n")[0]
    line = _CLOSING.sub("", line.strip())
    if not line:
        return None
    if _PROSE.search(line):
        guess = _guess(line)
        return guess.answer if guess else line
    return line


def _guess(body: str) -> Extraction | None:
    """Take the last formula or the last number, whichever ends later."""
    math = _last(_MATH, body)
    number = _last(_NUMBER, body)
    if math and (number is None or math.end() >= number.end()):
        inner = next(group for group in math.groups() if group is not None)
        return Extraction(_CLOSING.sub("", inner.strip()), "last_math")
    return Extraction(number.group(), "last_number") if number else None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for match in pattern.finditer(text):  # noqa: B007
        pass
    return match
