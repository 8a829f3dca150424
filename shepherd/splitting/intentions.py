r"""Say whether a line only says what its author is going to do.

``To solve the equation \(3x - 9 = 2x\), we need to isolate \(x\).`` can be neither right nor wrong:
its formula repeats the problem. ``We need to add 3 + 4 = 7.`` computes, and can be wrong.
"""

import re
from itertools import pairwise

from shepherd.splitting.sentences import sentence_cuts

_LONGEST = 600
"""Characters past which a line is more than an intention."""
_AUTHOR = re.compile(r"\b(?:let|we|i|you)\b", re.IGNORECASE)
_FORMULA = re.compile(r"\$[^$\n]{1,400}\$|\\\[.{0,400}?\\\]|\\\(.{0,400}?\\\)", re.DOTALL)
_FIRST = (
    r"(?:(?:first|second|third|next|now|then|finally|so|lastly|to begin|to start|also)(?:ly)?,? "
    r"(?:of all,? )?){0,3}"
)
_VERBS = (
    "find|determine|calculate|compute|solve|follow|break|look|figure|consider|know|evaluate|analyze"
    "|analyse|examine|understand|identify|simplify|proceed|check|verify|perform|convert|compare|sum"
    "|count|express|combine|isolate|rewrite|apply|use|add|subtract|multiply|divide|write|implement"
)
_INTENTION = re.compile(
    rf"[\s>*_#]*{_FIRST}(?:(?:in order )?to [a-z]{{2,12}} [^\n.:]{{1,300}}?,? )?"
    rf"(?:let['’]s|let us|(?:we|i|you)(?:['’]ll| will| need to| have to| want to| can| should| must"
    rf"| are going to| first need to| start by)(?: (?:now|first|then|also|simply))?(?: need to)?)"
    rf" (?:{_VERBS}|determining|finding|calculating|computing|identifying)\b",
    re.IGNORECASE,
)
_RESULT = re.compile(
    r"\b(?:get|gets|gives?|giving|yields?|obtain|which (?:is|are|means|equals)|results?|resulting"
    r"|because|since|so|is equal to|equals|as they|noting|are given)\b|[=<>≈]|\bis (?:\d|FORMULA)",
    re.IGNORECASE,
)
_USES_FORMULA = re.compile(r"\b(?:use|apply|write|rewrite|express|set up)\b", re.IGNORECASE)
_RELATION = re.compile(r"[=<>≈]|\\(?:le|ge|leq|geq|approx|neq?|equiv|boxed)\b")
# A sum of figures with its value; in 2x - 3 = 7 a letter stands before the figures.
_ARITHMETIC = re.compile(
    r"(?<![\w^}.])(?<![-+*/] )(?<!cdot )(?<!times )[\d(]"
    r"(?:[\d\s+\-*/().,×÷%$]|\\times|\\cdot){0,200}"
    r"(?:=|≈|\\approx)[\s$]*-?(?!0\b)\d"
)


def is_intention(line: str) -> bool:
    """Say whether each sentence of a line is an intention, and none states a result."""
    text = line.strip()
    if "\n" in text or len(text) > _LONGEST or not _AUTHOR.search(text):
        return False
    masked = _FORMULA.sub("FORMULA", text)
    bounds = pairwise([0, *sentence_cuts(masked), len(masked)])
    return not _ARITHMETIC.search(text) and all(
        _says_intention(masked[start:end], text) for start, end in bounds
    )


def _says_intention(sentence: str, text: str) -> bool:
    intention = _INTENTION.match(sentence)
    if not intention or _RESULT.search(sentence, intention.end()):
        return False
    # A formula that is used is a claim; one that is solved or evaluated is the problem's.
    uses = _USES_FORMULA.search(sentence, intention.start())
    return not (uses and _RELATION.search(text))
