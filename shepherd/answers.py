r"""Find the final answer in the text of a solution.

The published corpora close a solution in different ways: ``The answer is: X`` (MetaMATH and
Math-Shepherd), ``#### X`` (GSM8K), ``\boxed{X}`` (MATH), ``A: X`` (GPT-3 on GSM8K) and ``Final
Answer: The final answer is X`` (Minerva's prompt). Of all such marks the last one counts, since
a solution may correct itself. Time is linear in the length of the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

Source = Literal[
    "answer_is", "hashes", "boxed", "a_line", "prose", "bare", "last_math", "last_number"
]
"""The mark that an answer stood at. Without one: ``prose`` (so the answer to this is 4 apples),
``bare`` (an expression without letters and nothing else), and two guesses, ``last_math`` and
``last_number``."""

_MARK = re.compile(
    r"(?P<boxed>\\(?:boxed|fbox)[ ]?(?=\{)|\\boxed[ ](?=\w))"
    r"|(?P<hashes>\#{4}[ \t]+(?=[-+$£€\\(\[{.\d]|\S+[ \t]*$))"
    r"|(?P<a_line>^A:[ \t]*(?=\S))"
    r"|(?P<answer_is>\b[Ff]inal answer is\b:?"
    r"|(?:^[ \t*#]*|\b[Tt]he |\b[Ff]inal )[Aa]nswer(?: to (?:this|the) \w{1,20})?(?: is)?[ ]?:)"
    r"|(?P<prose>\b[Aa]nswer(?:[ \t]+[A-Za-z']{1,20}){0,6}?[ \t]+is\b)",
    re.MULTILINE,
)
_SPECIAL_TOKEN = re.compile(r"<\|[a-z_]{1,30}\|>")
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LINE = re.compile(r"\s*([^\n]*)")
_MATH = re.compile(
    r"(?<![\\$])\$(?![\s$])((?:[^$\\\n]|\\.){1,400})\$(?!\d)"
    r"|\\\(((?:[^\\]|\\[^()]){1,400})\\\)|\\\[((?:[^\\]|\\[^][]){1,400})\\\]|\$\$([^$]{1,400})\$\$",
    re.DOTALL,
)
_NUMBER = re.compile(r"(?<![\w.])-?[$£€]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?%?")
_WORD_OR_VALUE = re.compile(
    r"(?<![\\{A-Za-z])(?!(?:sqrt|pi|sin|cos|tan|log|ln|exp|frac)\b)[a-z][A-Za-z]+\b"
    r"|(?<![\\{A-Za-z])[A-Z][a-z]+\b|(?P<value>[\d$\\])"
)
_BARE = re.compile(r"[^A-Za-z\n]{1,200}")


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
    marks = list(_MARK.finditer(body))
    partners = _partners(body) if any(mark["boxed"] for mark in marks) else {}
    # Prose such as "so our answer is correct" counts only where there is no mark proper.
    for mark in sorted(marks, key=lambda mark: (mark["prose"] is None, mark.start()), reverse=True):
        source: Source = mark.lastgroup  # type: ignore[assignment]
        if source == "boxed":
            answer = _boxed(body, mark.end(), partners)
        else:
            answer = _closing(body, mark.end())
        if answer:
            return Extraction(answer, source)
    return _guess(body)


def boxed_answer(text: str) -> str | None:
    r"""Return what the last ``\boxed{}`` holds, or None if there is none, or it is empty or cut."""
    boxes = [mark.end() for mark in _MARK.finditer(text) if mark["boxed"]]
    return (_boxed(text, boxes[-1], _partners(text)) or None) if boxes else None


def _answering_part(text: str) -> str:
    r"""Cut thoughts before the answer, chat turns after it and GSM8K's ``<<3*2=6>>``."""
    body = _SPECIAL_TOKEN.split(text.rpartition("</think>")[2], maxsplit=1)[0]
    return _CALCULATION.sub("", body) if "<<" in body else body


def _partners(body: str) -> dict[int, int]:
    """Return where each brace that is opened is closed, in one pass."""
    partners: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(body):
        if brace.group() == "{":
            opened.append(brace.start())
        elif brace.group() == "}" and opened:
            partners[opened.pop()] = brace.start()
    return partners


def _boxed(body: str, start: int, partners: dict[int, int]) -> str | None:
    r"""Return what the box at ``start`` holds: ``{...}`` or one character; None if cut off."""
    if body[start] != "{":
        return body[start]
    end = partners.get(start)
    return None if end is None else body[start + 1 : end].strip()


def _closing(body: str, start: int) -> str | None:
    """Return the answer on the line after a mark; if words come first, the last value in it."""
    line = _without_closing(_LINE.match(body, start)[1])  # type: ignore[index]
    if not line:
        return None
    first = _WORD_OR_VALUE.search(line)
    guess = _guess(line) if first and not first["value"] else None
    return guess.answer if guess else line


def _guess(body: str) -> Extraction | None:
    """Take a bare expression as it is, else the last formula or number, whichever ends later."""
    if _BARE.fullmatch(body.strip()) and _NUMBER.search(body):
        return Extraction(body.strip(), "bare")
    math = _last(_MATH, body)
    number = _last(_NUMBER, body)
    if math and (number is None or math.end() >= number.end()):
        inner = next(group for group in math.groups() if group is not None)
        return Extraction(_without_closing(inner), "last_math")
    return Extraction(number.group(), "last_number") if number else None


def _without_closing(line: str) -> str:
    bare = line.strip("* \t\r").rstrip(".,;:! ")
    return bare.removesuffix("I hope it is correct").rstrip(".,;:!* ")


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for match in pattern.finditer(text):  # noqa: B007
        pass
    return match
