r"""The marks that answers stand behind, in English and in other languages."""

import re
from typing import Literal, cast

AnswerSource = Literal[
    "answer_is",
    "hashes",
    "boxed",
    "a_line",
    "tag",
    "json",
    "prose",
    "bare",
    "last_math",
    "last_number",
]
"""The mark that an answer stood at. Without one: ``prose`` (so the answer to this is 4 apples),
``bare`` (an expression without letters and nothing else), and two guesses, ``last_math`` and
``last_number``."""

EXPLICIT: tuple[AnswerSource, ...] = (
    "answer_is",
    "hashes",
    "boxed",
    "a_line",
    "tag",
    "json",
    "prose",
)
"""Sources that are marks, not guesses."""

_WORDS = (
    "[Rr]éponse|[Rr]esposta|[Rr]espuesta|[Rr]isposta|[Aa]ntwort|[Aa]ntwoord|[Оо]твет|ОТВЕТ|[Ss]var"
    "|[Oo]dpowied[źz]|[Cc]evap|[Đđ]áp (?:án|số)|[Jj]awaban|[Jj]ibu|[Vv]astaus|[Rr]ăspuns"
    "|答案|答え|答|解答|정답|답|الجواب|الإجابة|जवाब|उत्तर|উত্তর|సమాధానం|คำตอบ|απάντηση|Απάντηση"
)
_IS = (
    "est|lautet|ist|es|é|è|ni|is|jest|adalah|là|on|är|er|était|sera"
    "|应该是|应为|就是|等于|是|为|為|は|은|는|هو|هي|है|হল|హాని|คือ|είναι"
)
_OTHER_LANGUAGES = re.compile(
    rf"(?P<answer_is>(?:{_WORDS})(?:[ \t]+[^\W\d_]{{1,12}}){{0,2}}?[*_]*[ \t]*"
    rf"(?:(?:{_IS})(?![a-zà-ÿ])|[:：=]|[—–-](?=[ \t]))[*_]*[ \t]*[:：]?)"
)
_LATIN_WORDS = (
    "espuesta",
    "esposta",
    "isposta",
    "ntwort",
    "ntwoord",
    "svar",
    "Svar",
    "evap",
    "awaban",
    "ibu ",
    "astaus",
)
"""Parts of the words above that are ASCII: a search for them is faster than the pattern."""
_NSWER = "(?:nswer|NSWER)"
_TITLE = r"[ \t]*\(?(?:\d{1,2}|[a-h])[.):][ \t]+\**[A-Z][^\n.!?]{0,80}$"
"""The number and the title of a section, as in ``#### 5. Conclusion``: no answer of GSM8K."""
_FIRST_IN_LINE = r"(?<![^\n*#>_].)"
_MARK = re.compile(
    # One class of first characters, and lookbehinds for the rest: a search that is twice as fast.
    r"[\\#A<\"'a\x08](?:"
    r"(?P<boxed>(?<=\\)(?:boxed|fbox|framebox)[ ]?(?=\{)|(?<=\\)boxed[ ](?=\w)|(?<=\x08)oxed(?=\{))"
    rf"|(?P<hashes>(?<=\#)(?<!\#\#)\#{{3}}(?!{_TITLE})"
    r"(?:[ \t]+(?=[-+$£€\\(\[{.\d]|\S+[ \t]*$)|(?=[-+$£€\\.\d])))"
    r"|(?P<a_line>(?<=A)(?<![^\n]A):[ \t]*(?=\S))"
    r"|(?P<tag>(?<=<)(?:(?:final_?)?answer|ANSWER|Answer|ans)>)"
    r"|(?P<json>(?<=[\"'])(?:[Ff]inal[_ ]?)?[Aa]nswer[\"'][ \t]*:[ \t]*)"
    rf"|(?P<answer_is>(?<=[Ff]inal .){_NSWER} is\b:?"
    rf"|(?:(?<=[Ff]inal .)|(?<=[Tt]he .)|(?<=A)|(?<=[#>*] .)|{_FIRST_IN_LINE})"
    rf"{_NSWER}(?: to (?:this|the) \w{{1,20}})?(?: is)?[*_]*[ ]?[:：=][*_]*"
    rf"|(?:{_FIRST_IN_LINE}|(?<=[Ff]inal .)){_NSWER}[*_ \t]*[-–—→][ \t]"
    rf"|{_FIRST_IN_LINE}ns\.?[*_ \t]*[:：=])"
    rf"|(?P<heading>(?<=(?:[Ff]inal|FINAL) .){_NSWER}[*_ \t]*$)"
    rf"|(?P<prose>(?<!\w.){_NSWER}(?:[ \t]+[A-Za-z']{{1,20}}){{0,6}}?[ \t]+(?:is|are|was|equals)\b)"
    r")",
    re.MULTILINE,
)
CHOSEN = (
    r"[*_]*\(?(?P<chosen>[A-J])\)?[*_]*[ \t]+is[ \t]+(?:the[ \t]+)?(?:correct|right|best)"
    r"(?:[ \t]+(?:answer|option|choice|one))?(?=[.!,;:*_]|\s*$)"
)
"""A letter and what says that it is the answer: *(B) is correct*."""
_CHOICE = re.compile(
    r"(?P<answer_is>(?:(?<=\b[Cc]orrect )|(?<=\b[Rr]ight )|(?<=\b[Bb]est ))(?:[Oo]ption|[Cc]hoice)"
    r"[*_]*(?:[ \t]+(?:is|would be)\b[*_]*:?|[ \t]*[:：])(?=[ \t*_(]{0,8}[A-J](?![A-Za-z]))"
    rf"|(?:(?<![A-Za-z])(?:[Oo]ption|[Cc]hoice)[ \t]+|(?=\())(?={CHOSEN}))"
)
"""A choice is an answer only with its letter; *the best option is to buy 5* is none."""
_HEADING = re.compile(r"[ \t*#_>]*(?:the )?final ", re.IGNORECASE)

_LEAD = re.compile(
    r"[\s*_#>]*(?:(?:and|so|thus|therefore|hence|finally|then|in conclusion|因此|所以)[,:，]?\s*)?"
    r"(?:(?:the|our|my|its|die|la|le|el|o|a)\s+)?(?:correct\s+|final\s+|最终)*[\s*_$({\[]*(?:\\[(\[]\s*)?",
    re.IGNORECASE,
)
_LONGEST_LEAD = 200
"""Characters in which the mark of a closing line begins."""
_TAIL = re.compile(r"[\s*_$.!。})\]]*(?:\\[)\]])?[\s*_$.!。]*")


def marks_of(text: str) -> list[re.Match[str]]:
    """Return the marks of answers in ``text``, in order."""
    marks = [mark for mark in _MARK.finditer(text) if _is_whole(text, mark)]
    if "ption" in text or "hoice" in text or ") is " in text:
        marks = sorted([*marks, *_CHOICE.finditer(text)], key=re.Match.start)
    if not text.isascii() or any(word in text for word in _LATIN_WORDS):
        marks = sorted([*marks, *_OTHER_LANGUAGES.finditer(text)], key=re.Match.start)
    return marks


def _is_whole(text: str, mark: re.Match[str]) -> bool:
    """Say whether a heading fills its line; other marks may stand anywhere."""
    line = text.rfind("\n", 0, mark.start()) + 1
    return mark.lastgroup != "heading" or bool(_HEADING.fullmatch(text, line, mark.start()))


def source_of(mark: re.Match[str]) -> AnswerSource:
    """Return what kind of mark a match of :func:`marks_of` is."""
    if mark.lastgroup == "heading":
        return "answer_is"
    # The groups of the expressions are named after the sources.
    return cast(AnswerSource, mark.lastgroup)


def closes(text: str) -> bool:
    r"""Say whether ``text`` is a closing answer line: a mark and its answer, and nothing before.

    A box closes only where nothing but delimiters stands round it; ``Therefore the sum is
    \boxed{7}.`` says more than its answer.
    """
    line_start = len(text) - len(text.lstrip())
    lead = _LEAD.match(text)
    for mark in marks_of(text[:_LONGEST_LEAD]):
        if mark.start() in (line_start, lead.end() if lead else 0):
            is_box = source_of(mark) == "boxed"
            return not is_box or _is_alone(text, mark.end())
    return False


def _is_alone(text: str, start: int) -> bool:
    """Say whether the box whose content begins at ``start`` ends the text."""
    depth = 0
    for brace in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += (brace.group() == "{") - (brace.group() == "}")
        if depth == 0 and brace.group() == "}":
            return _TAIL.fullmatch(text, start + brace.end()) is not None
    return False
