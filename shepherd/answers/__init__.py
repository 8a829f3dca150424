r"""Find the final answer in the text of a solution.

The published corpora close a solution in different ways: ``The answer is: X`` (MetaMATH and
Math-Shepherd), ``#### X`` (GSM8K), ``\boxed{X}`` (MATH), ``A: X`` (GPT-3 on GSM8K) and ``Final
Answer: The final answer is X`` (Minerva's prompt). The last mark with an answer counts, since a
solution may correct itself. Time is linear in the length of the text.
"""

import re
from dataclasses import dataclass

from shepherd.answers.boxes import boxed_answer, boxes_of
from shepherd.answers.marks import AnswerSource, closes, source_of
from shepherd.answers.turns import answering_part
from shepherd.answers.values import guessed_value, tagged_value, value_after

__all__ = [
    "AnswerSource",
    "Extraction",
    "boxed_answer",
    "closes",
    "extract_answer",
    "extract_answer_with_source",
]


@dataclass(frozen=True)
class Extraction:
    """An answer and the mark it was found at."""

    answer: str
    source: AnswerSource


def extract_answer(text: str, *, begins_in_thought: bool = False) -> str | None:
    """Return the final answer of ``text``, or None if it holds no answer at all.

    ``begins_in_thought`` says that the prompt of ``text`` opens a thought, which holds no answer.
    """
    extraction = extract_answer_with_source(text, begins_in_thought=begins_in_thought)
    return None if extraction is None else extraction.answer


def extract_answer_with_source(text: str, *, begins_in_thought: bool = False) -> Extraction | None:
    """Return the final answer of ``text`` and how it was found, or None."""
    body, marks = answering_part(text, begins_in_thought=begins_in_thought)
    boxes = boxes_of(body) if any(source_of(mark) == "boxed" for mark in marks) else {}
    # Prose such as "so our answer is correct" counts only where there is no mark proper.
    for mark in sorted(marks, key=_strength, reverse=True):
        source = source_of(mark)
        if source == "boxed":
            answer = boxes.get(mark.end())
        elif source in ("tag", "json"):
            answer = tagged_value(body, mark)
        else:
            answer = value_after(body, mark.end())
        if answer:
            return Extraction(answer, source)
    return _guess(body)


def _strength(mark: re.Match[str]) -> tuple[bool, int]:
    return source_of(mark) != "prose", mark.start()


def _guess(body: str) -> Extraction | None:
    guess = guessed_value(body)
    return None if guess is None else Extraction(*guess)
