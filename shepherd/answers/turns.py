r"""Find the part of a generated text that answers the question.

Thoughts come before the answer; further questions and chat turns come after it and belong to
another question. GSM8K's ``<<3*2=6>>`` is no part of what is said.
"""

import re

from shepherd.answers.marks import marks_of
from shepherd.thoughts import THOUGHT_TAG, closes_thought

_FINAL_CHANNEL = "<|channel|>final<|message|>"
_SPECIAL_TOKEN = re.compile(
    r"<\|[A-Za-z_]{1,30}\|>|</?s>|<(?:start|end)_of_turn>|<(?:eos|bos|pad|unk)>|\[/?INST\]"
)
_ROLE = re.compile(r"\s*(?:assistant|model|system)?\s*")
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>")
_SPEAKER = r"Human|User|Instruction|人类|用户"
_QUESTION = r"Question|Problem|Exercise|Pregunta|Frage|Вопрос|问题|题目|問題"
_NEXT_TURN = re.compile(
    rf"^[ \t*#>_]*(?:(?:{_SPEAKER}|{_QUESTION})[ \t]*\#?\d{{0,3}}[ \t]*[*_]*[:：.)]"
    rf"|Q[ \t]?\d{{0,3}}[:.：])|^\#+[ \t]*(?:{_SPEAKER}|{_QUESTION})\b",
    re.MULTILINE,
)
_AFTER_BLANK_LINE = re.compile(
    rf"\n[ \t]*\n[ \t*#>_]*(?:(?:{_SPEAKER}|Question)[ \t]*\d{{0,3}}[*_]*:|Q:)"
)


def answering_part(
    text: str, *, begins_in_thought: bool = False
) -> tuple[str, list[re.Match[str]]]:
    """Return ``text`` without thoughts, other turns and calculations, and the marks in it.

    A thought that was cut off has no answer: nothing of it is returned.
    """
    body = _first_message(_without_thoughts(text, begins_in_thought=begins_in_thought))
    body = _CALCULATION.sub("", body) if "<<" in body else body
    marks = marks_of(body)
    end = _end_of_answer(body, marks)
    return body[:end], [mark for mark in marks if mark.end() <= end]


def _without_thoughts(text: str, *, begins_in_thought: bool) -> str:
    _, channel, final = text.rpartition(_FINAL_CHANNEL)
    text = final if channel else text
    start, opened = 0, 0 if begins_in_thought and not channel else -1
    for tag in THOUGHT_TAG.finditer(text):
        if closes_thought(tag):
            start, opened = tag.end(), -1
        elif opened < 0:
            opened = tag.start()
    return text[start:] if opened < start else text[start:opened]


def _first_message(text: str) -> str:
    """Return the first part between special tokens that is more than the name of a role."""
    start = 0
    for token in _SPECIAL_TOKEN.finditer(text):
        if not _ROLE.fullmatch(text, start, token.start()):
            return text[start : token.start()]
        start = token.end()
    return text[start:]


def _end_of_answer(body: str, marks: list[re.Match[str]]) -> int:
    """Return where the next question begins, behind the first answer; else the end."""
    ends = [len(body)]
    if marks:
        turn = _NEXT_TURN.search(body, marks[0].end())
        ends += [turn.start()] if turn else []
    turn = _AFTER_BLANK_LINE.search(body)
    if turn and re.search(r"\d", body[: turn.start()]):
        ends.append(turn.start())
    return min(ends)
