r"""Say whether a line only says what its author is going to do.

``To solve the equation \(3x - 9 = 2x\), we need to isolate \(x\).`` can be neither right nor wrong:
its formula repeats the problem. ``We need to add 3 + 4 = 7.`` computes, and can be wrong.
"""

import re
from itertools import pairwise

from shepherd.splitting.sentences import sentence_cuts

_LONGEST = 600
"""Characters past which a line is more than an intention."""
_FORMULA = re.compile(
    # A delimiter that opens again ends the search, so that time is linear.
    r"\$[^$\n]{1,400}\$|\\\[(?:(?!\\\[).){0,400}?\\\]|\\\((?:(?!\\\().){0,400}?\\\)",
    re.DOTALL,
)
ORDER = (
    r"(?:(?:first|second|third|next|now|then|finally|so|lastly|to begin|to start|also)(?:ly)?,? "
    r"(?:of all,? )?){0,3}"
)
"""The words of order that a plan begins with."""
WILL = (
    r"(?:we|i|you)(?:['’]ll| will| need to| have to| want to| can| should| must| are going to"
    r"| first need to| start by)(?: (?:now|first|then|also|simply))?(?: need to)?"
)
"""An author who is going to do something."""
VERBS = (
    r"(?:find|determine|calculate|compute|solve|follow|break|look|figure|consider|know|evaluate"
    r"|analyze|analyse|examine|understand|identify|simplify|proceed|check|verify|perform|convert"
    r"|compare|sum|count|express|combine|isolate|rewrite|apply|use|add|subtract|multiply|divide"
    r"|write|implement|start|begin|set up|determining|finding|calculating|computing"
    r"|identifying)\b"
)
"""What an author is going to do."""
_INTENTION = re.compile(
    rf"[\s>*_#]*{ORDER}(?:(?:in order )?to [a-z]{{2,12}} [^\n.:]{{1,300}}?,? )?"
    rf"(?:let['’]s|let us|{WILL}) {VERBS}",
    re.IGNORECASE,
)
# A look at the first character makes the searches in figures ten times as fast.
_RESULT = re.compile(
    r"(?=[a-z=<>≈→])(?:"
    r"\b(?:get|gets|gives?|giving|yields?|obtain|which (?:is|are|means|equals)|results?|resulting"
    r"|because|since|so|is equal to|equals|as they|noting|are given)\b|[=<>≈→])",
    re.IGNORECASE,
)
_VALUE = (
    r"(?:(?:an?|the|about|approximately|exactly|just|only|roughly) )?[*_(\\$€£]*-?(?:\d|FORMULA)"
)
_COMPUTED = re.compile(
    r"(?=[a-z→⇒])(?:"
    r"\b(?:(?:is|are|was|were|becom(?:es?|ing)|leav(?:es?|ing)|total(?:s|ing|ling)|equal(?:s|ing)"
    r"|mak(?:es|ing)|(?:for|giving|making|with) a total of|left with|comes? (?:out )?(?:to|at|as)"
    r"|turns? out (?:as|at|to be)|amounts? to|(?:reduces?|simplif(?:y|ies)) to|ends? up (?:with|at)"
    rf"|arriv(?:e|ing) at)|(?:that|it|there)['’]s) {_VALUE}|[→⇒] ?{_VALUE}"
    rf"|\b(?:simplify|rewrite|reduce|expand|factor)\b[^\n]{{0,80}}? (?:to|into|as) {_VALUE}"
    r"|\b(?:simplify|evaluate|compute|calculate|convert|expand|rewrite|express)\b[^:\n]{0,80}?"
    r"FORMULA[^:\n]{0,80}:[ \t*]+FORMULA)",
    re.IGNORECASE,
)
"""A value that is computed, rightly or not."""
_CHANGES = re.compile(r"\b(?:convert|change|turn|express|write)\b", re.IGNORECASE)
_CHANGED_TO = re.compile(rf" (?:to|into|as) {_VALUE}", re.IGNORECASE)
_CHANGED = re.compile(r"(?<!from )(?<![\d.])(?:\d|FORMULA)", re.IGNORECASE)
_BEHIND_COLON = re.compile(r":[ \t*]+[$€£\\]*-?\d(?!\d{0,2}[.)] )")
_ANY_FIGURE = re.compile(r"\d|FORMULA", re.IGNORECASE)
_MOST_BETWEEN = 80
"""Characters that may stand between a figure and what it is changed to."""
_USES_FORMULA = re.compile(
    r"(?=[a-z])\b(?:use|apply|write|rewrite|express|set up)\b", re.IGNORECASE
)
_RELATION = re.compile(r"[=<>≈]|\\(?:le|ge|leq|geq|approx|neq?|equiv|boxed)\b")
# Figures and signs up to a relation and a value. Each run of them is read once.
_RUN = re.compile(
    r"(?<![\d\s+\-*/().,×÷%$])(?<!\\times)(?<!\\cdot)"
    r"(?P<run>(?:[\d\s+\-*/().,×÷%$]|\\times|\\cdot)++)(?:=|≈|\\approx)[\s$]*-?(?!0\b)\d"
)
# In 2x - 3 = 7 a letter stands before the figures.
_FIGURE = re.compile(r"(?<![\w^}.])(?<![-+*/] )(?<!cdot )(?<!times )[\d(]")


def is_intention(line: str) -> bool:
    """Say whether each sentence of a line is an intention, and none states a result."""
    text = line.strip()
    if "\n" in text or len(text) > _LONGEST:
        return False
    masked = _FORMULA.sub("FORMULA", text)
    bounds = pairwise([0, *sentence_cuts(masked), len(masked)])
    return all(_says_intention(masked[start:end], text) for start, end in bounds) and not any(
        _FIGURE.search(text, *match.span("run")) for match in _RUN.finditer(text)
    )


def computes(text: str) -> bool:
    """Say whether a short text states a value that it computes, rightly or wrongly."""
    return _states_value(_FORMULA.sub("FORMULA", text))


def _states_value(masked: str) -> bool:
    verb = _CHANGES.search(masked)
    return (
        (verb is not None and _joins(masked, _CHANGED, _CHANGED_TO, start=verb.end()))
        or _joins(masked, _ANY_FIGURE, _BEHIND_COLON, stops=":\n")
        or _COMPUTED.search(masked) is not None
    )


def _joins(
    text: str, figure: re.Pattern[str], value: re.Pattern[str], *, start: int = 0, stops: str = "\n"
) -> bool:
    """Say whether a figure stands shortly before a value, without a stop between them.

    The rarer values are sought first, so that time is linear in the figures.
    """
    for match in value.finditer(text, start):
        end = match.start()
        begin = max(start, end - _MOST_BETWEEN - len("FORMULA"))
        begin = max(begin, *(text.rfind(stop, begin, end) + 1 for stop in stops))
        figures = figure.finditer(text, begin, end)
        if any(end - found.end() <= _MOST_BETWEEN for found in figures):
            return True
    return False


def _says_intention(sentence: str, text: str) -> bool:
    intention = _INTENTION.match(sentence)
    if not intention or _RESULT.search(sentence, intention.end()) or _states_value(sentence):
        return False
    # A formula that is used is a claim; one that is solved or evaluated is the problem's.
    uses = _USES_FORMULA.search(sentence, intention.start())
    return not (uses and _RELATION.search(text))
