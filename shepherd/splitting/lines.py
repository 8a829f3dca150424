r"""Cut a text at lines, and join the lines that say nothing by themselves.

Solutions of real models have headings, plans (``we need to follow these steps:``) and lines that
only lead to the formula, the list or the code under them. Such a line can be neither right nor
wrong, so that it has no label of its own: it belongs to the step that it leads to.
"""

import re
from itertools import pairwise

from shepherd.splitting.blocks import Span, outside
from shepherd.splitting.intentions import ORDER, VERBS, WILL, computes, is_intention

_LINE_START = re.compile(r"\n(?=[^\n])")
_CONTINUED = re.compile(r"[ \t]*[-*+•][ \t]|[ \t]{2,}|\t|[ \t\r]*(?:\n|$)")
_NUMBERED = re.compile(r"[ \t]*(?:\*\*)?\(?(?:\d{1,2}|[a-h])[.)](?:\*\*)?[ \t]+")
_HEADING = re.compile(
    r"[ \t]*(?:\#{1,6}[ \t]+[^\n]+|(?:\*\*|__)[^*_\n]+(?:\*\*|__)[ \t]*:?)[ \t\r\n]*"
)
_RULE = re.compile(r"[ \t]*(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t\r\n]*")
_MATH = re.compile(
    r"\$\$[^$]{0,2000}\$\$|\$[^$\n]{1,400}\$|\\\[(?:(?!\\\[).){0,2000}?\\\]"
    r"|\\\((?:(?!\\\().){0,400}?\\\)|\\begin\{(?:(?!\\begin\{).){0,2000}?\\end\{[a-z*]{1,20}\}"
    r"|\$[ \t]*\n[^$]{0,2000}\$",
    re.DOTALL,
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_CLAIM = re.compile(
    r"(?=[a-z\\=<>≈≤≥])(?:[=<>≈≤≥]|\\(?:approx|le|ge|ne|leq|geq|neq|boxed)\b"
    r"|\b(?:is|are|was|were|equals?|has|have|had|gives?|gets?|costs?|makes?|earns?|spends?|be)\s+"
    r"(?:about |only |also )?(?:\\?[$£€(\[]+ ?)?\d)"
)
_PLAN = re.compile(
    rf"\s*(?:\#{{1,6}}[ \t]*|\*\*)?{ORDER}"
    r"(?:(?:sure|certainly|of course|okay|great|alright|absolutely)[!,.:]"
    r"|let['’]s\b|let us\b|here(?:['’]s| is| are)\b|follow these steps"
    r"|to (?:solve|find|determine|calculate|compute|answer|figure out)\b(?=[^\d\n]*$)"
    r"|(?:in order )?to [a-z]{2,12} [^\n,.:]{1,200}, (?:we|i|you)\b"
    rf"|{WILL} {VERBS}"
    r"|(?:the )?(?:following )?steps?\b)",
    re.IGNORECASE | re.MULTILINE,
)
_STEPS_AHEAD = re.compile(
    r"\b(?:steps?|plan|approach|as follows|process|procedure|strategy)\b", re.I
)
_OUTPUT = re.compile(
    r"\s*[*_#]*(?:[^\n:]{0,60}\b)?(?:outputs?|results?|prints?|returns?)\b[^\n:]{0,60}:[*_\s]*",
    re.I,
)
_CODE = re.compile(r"[ \t]*(?:```|~~~)")
_TABLE = re.compile(r"[ \t]*\|")
_FEWEST_WORDS = 3
"""Words from which a line that ends in a colon announces the code, table or list under it."""
_MOST_WORDS = 4
"""Words up to which a line with a relation is a formula."""
_MOST_PIECES = 5000
"""Lines past which a text is no solution: its lines stay as they are."""
_LONGEST_PLAN = 400
"""Characters past which a line is no plan or formula of one line."""


def line_cuts(text: str) -> list[int]:
    """Return where lines begin, but for blank lines, bullets and what is indented."""
    ends = (match.end() for match in _LINE_START.finditer(text))
    return [end for end in ends if not _CONTINUED.match(text, end)]


def joined_line_cuts(text: str, spans: list[Span]) -> list[int]:
    """Return where the steps of a text without heads begin: at lines that open something new."""
    cuts = outside(line_cuts(text), spans) if spans else line_cuts(text)
    cuts = [cut for cut in cuts if 0 < cut < len(text)]
    pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    if not 2 <= len(pieces) <= _MOST_PIECES:
        return cuts
    silent = [says_nothing(piece) for piece in pieces]
    lists = _list_items(pieces, silent)
    last = len(pieces) - 2
    return [
        cut
        for index, cut in enumerate(cuts)
        if not (
            index in lists
            or _belong_together(pieces[index], pieces[index + 1], is_silent=silent[index])
            or (index == last and silent[-1])
            or (index == 0 and _RULE.fullmatch(pieces[0]))
        )
    ]


def says_nothing(step: str) -> bool:
    """Say whether a step can be neither right nor wrong: a heading, a plan, an announcement."""
    if _RULE.fullmatch(step):
        return True
    if is_intention(step):
        return True
    if len(step) > _LONGEST_PLAN or _CLAIM.search(step):
        return False
    is_one_line = "\n" not in step.strip()
    leads = is_one_line and _ends_in_colon(step)
    if leads or _PLAN.match(step):
        return not computes(step)
    return _HEADING.fullmatch(step) is not None


def _belong_together(before: str, after: str, *, is_silent: bool) -> bool:
    """Say whether two neighbouring pieces are one step."""
    if _RULE.fullmatch(after):
        return True
    if _RULE.fullmatch(before):
        return False
    if _CODE.match(before):
        return bool(_OUTPUT.fullmatch(after) or _CODE.match(after))
    if _OUTPUT.fullmatch(before) and _CODE.match(after):
        return True
    is_block = _CODE.match(after) or _TABLE.match(after) or _NUMBERED.match(after)
    if _ends_in_colon(before) and (is_block or _is_formula(after)):
        return not is_block or _has_words(before)
    return is_silent or (after.startswith("where ") and _is_formula(before))


def _ends_in_colon(piece: str) -> bool:
    return piece.rstrip().rstrip("*_ ").endswith((":", "："))


def _has_words(piece: str) -> bool:
    """Say whether the last line of a piece is long enough to announce the block under it."""
    return len(piece.rstrip().rpartition("\n")[2].split()) >= _FEWEST_WORDS


def _is_formula(piece: str) -> bool:
    """Say whether a piece is a formula alone: display mathematics, or a relation in few words."""
    if _NUMBERED.match(piece) or _CODE.match(piece):
        return False
    words = _num_words(piece)
    if _MATH.search(piece):
        return words <= _MOST_WORDS // 2
    return len(piece) <= _LONGEST_PLAN and "=" in piece and words <= _MOST_WORDS


def _num_words(piece: str) -> int:
    """Return how many words stand outside the formulas."""
    return len(_WORD.findall(_MATH.sub("", piece)[:_LONGEST_PLAN]))


def _list_items(pieces: list[str], silent: list[bool]) -> set[int]:
    """Return the pieces that belong to the next one: plans, and the items of short lists.

    A plan has no item with a claim, and belongs to the solution behind it. A list of formulas or
    of a few words belongs to the line with a colon above it. A list is joined whole or not at all.
    """
    items: set[int] = set()
    index = 0
    while index < len(pieces):
        announcement, start = pieces[index], index
        is_plan = silent[index] and _STEPS_AHEAD.search(announcement)
        index += 1
        if not is_plan and not (_ends_in_colon(announcement) and _has_words(announcement)):
            continue
        is_item = _is_plan_item if is_plan else _is_short_item
        while index < len(pieces) and is_item(pieces[index]):
            index += 1
        is_last = index == len(pieces)
        if not is_last and _NUMBERED.match(pieces[index]):
            continue
        if not is_plan:
            items.update(range(start, index - 1))
        elif not is_last:
            items.update(range(start, index))
    return items


def _is_short_item(piece: str) -> bool:
    return _is_plan_item(piece) and _num_words(piece) <= _MOST_WORDS


def _is_plan_item(piece: str) -> bool:
    label = _NUMBERED.match(piece)
    return (
        label is not None
        and len(piece) <= _LONGEST_PLAN
        and "\n" not in piece.strip()
        and not _CLAIM.search(piece, label.end())
    )
