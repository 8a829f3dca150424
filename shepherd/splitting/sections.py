"""Cut the thought of a reasoning model into sections: paragraphs, merged to a bounded number.

A thought has hundreds of paragraphs, and a rollout of each would cost a whole thought. A paragraph
that turns back ("Wait, ...") says something of what is before it, right or wrong: alone it has no
label, so that it stays with the paragraph that it turns back from.
"""

import re
from bisect import bisect_right
from itertools import pairwise

from shepherd.splitting.blocks import outside, protected_spans

SECTIONS_VERSION = "2"
"""Raised when the sections of some thought change, so that its steps have other ids than before."""

_BLANK_LINES = re.compile(r"\n[ \t\r]*\n(?=[ \t\r]*[^\s])")
_LINES = re.compile(r"\n(?=[ \t\r]*[^\s])")
# Marks before the words are few: the search from every paragraph stays linear in the text.
_TURNS_BACK = re.compile(
    r"[\s>*_#-]{0,40}+(?:(?:no|oh|ah|ok|okay|so|and|well)\b[,.!…]*\s+)?"
    r"(?:(?:wait|but|hmm+|alternatively|however|actually|oops|hang on|hold on|on second thoughts?"
    r"|or maybe|or perhaps|scratch that)\b(?!-)|no[,.!]"
    r"|(?:let me|let['’]s|i should|i need to) (?:just |quickly |also )?"
    r"(?:double[- ]?check|re-?check|verify|re-?verify|check|re-?read|re-?consider|re-?calculate"
    r"|re-?examine|go back|try (?:again|another))\b"
    r"|(?:that|this)(?:['’]s| is| can['’]?t be| cannot be| isn['’]t| doesn['’]t (?:make|look|seem)"
    r"| seems?)(?: not)? (?:right|wrong|correct|sense|odd|off|strange|weird|impossible|possible)\b"
    r"|等等|等一下|但是|不过|不对|或者|嗯|再想|重新)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w")
_TAG_ALONE = re.compile(r"[^\w]*(?:think|thinking|thought|reasoning)[^\w]*", re.IGNORECASE)


def section_cuts(thought: str, max_sections: int) -> list[int]:
    """Return where the sections of a thought begin, but for the first; fewer than ``max_sections``.

    Paragraphs end at blank lines, or at lines in a thought without blank lines. None begins inside
    a formula, a fence or a table. Where there are more than ``max_sections``, neighbours are merged
    into sections of about equal length.
    """
    spans = protected_spans(thought, inline=False)
    for separator in (_BLANK_LINES, _LINES):
        ends = (match.end() for match in separator.finditer(thought))
        cuts = outside([end for end in ends if end < len(thought)], spans)
        if cuts:
            break
    cuts = [cut for cut in cuts if not _TURNS_BACK.match(thought, cut)]
    return _merged(_with_tags(thought, cuts), len(thought), max_sections)


def _with_tags(thought: str, cuts: list[int]) -> list[int]:
    """Leave out the cuts that would put a tag of the thought, or nothing, alone."""
    bounds = [0, *cuts, len(thought)]
    silent = [_is_silent(thought[start:end]) for start, end in pairwise(bounds)]
    last = len(cuts)
    return [
        cut
        for index, cut in enumerate(cuts)
        if not silent[index] and not (index + 1 == last and silent[-1])
    ]


def _is_silent(piece: str) -> bool:
    return len(piece) < 40 and (not _WORD.search(piece) or bool(_TAG_ALONE.fullmatch(piece)))


def _merged(cuts: list[int], length: int, max_sections: int) -> list[int]:
    """Keep at most ``max_sections`` - 1 cuts: of each even share of the text the nearest one."""
    if len(cuts) < max_sections:
        return cuts
    kept: list[int] = []
    first = 0
    for number in range(1, max_sections):
        goal = number * length // max_sections
        # The cuts behind the last kept one, with enough of them left for the later sections.
        after = bisect_right(cuts, goal, first)
        near = [place for place in (after - 1, after) if first <= place < len(cuts)]
        if not near:
            break
        nearest = min(near, key=lambda place: abs(cuts[place] - goal))
        kept.append(cuts[nearest])
        first = nearest + 1
    return kept
