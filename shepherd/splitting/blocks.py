r"""Find the blocks of a text that no cut may fall into.

Blocks are code fences (three backticks or tildes), display formulas (``$$``, ``\[``, a formula
of several lines between two ``$``), LaTeX environments and tables. A block that is not closed
protects nothing, but for one in which a completion was cut off: a code fence at a line start, and
the lines of formula under an opening of display mathematics that fills a line.
"""

import re

Span = tuple[int, int]

_TOKEN = re.compile(
    r"(?P<fence>`{3,})|(?P<tildes>^[ \t]*~{3,})|(?P<dollars>\$\$)|(?P<display>\\\[)"
    r"|(?P<end_display>\\\])|(?P<inline>\\\()|(?P<end_inline>\\\))|(?P<begin>\\begin\{)|(?P<end>\\end\{)",
    re.MULTILINE,
)
_CLOSES = {
    "fence": "fence",
    "tildes": "tildes",
    "dollars": "dollars",
    "display": "end_display",
    "inline": "end_inline",
    "begin": "end",
}
_DOLLAR_LINE = re.compile(r"^[ \t]*\$(?![\d$])[^$\n]*\n", re.MULTILINE)
_RESTARTS = {"display": ("display",), "inline": ("inline", "display")}
"""What cannot stand within a formula: the formula before it was not closed."""
_OPENING = re.compile(r"(?:\$\$|\\\[|\\begin\{[a-z]+\*?\})[ \t\r]*(?:\n|\Z)")
_LONGEST_INDENT = 80
_NO_FORMULA = re.compile(
    r"\n(?:[ \t\r]*\n|[ \t]*(?:\#{1,6}[ \t]|\*\*|>[ \t]"
    r"|(?:[-*+•][ \t]+|\d{1,2}[.)][ \t]+)?(?!(?:sin|cos|tan|log|ln|lim|max|min|gcd|lcm|mod)\b)"
    r"[^\W\d_]{2,}(?:['’]\w+)?(?:[,:]|[ \t]+(?=[^\W_]|\$|\\\())))"
)
"""The end of a formula that is not closed: a blank line or a line that begins with prose."""
_DOLLAR = re.compile(r"(?<!\\)\$|\n[ \t\r]*\n")
_TABLE = re.compile(r"^[ \t]*\|[^\n]*\n(?:[ \t]*\|[^\n]*(?:\n|\Z))+", re.MULTILINE)
_INLINE_FORMULA = re.compile(
    r"(?<!\\)\$(?![\s$])[^$\n]{0,399}[^\s$\\]\$(?!\d)|\\\((?:[^\\\n]|\\[^()\n]){1,400}\\\)"
)


def protected_spans(text: str, *, inline: bool) -> list[Span]:
    """Return the blocks of ``text`` in order; with ``inline``, also formulas within a line."""
    spans: list[Span] = []
    if "`" in text or "$" in text or "\\" in text or "~~~" in text:
        spans = _blocks(text)
        spans += [
            (start, end) for start, end in _dollar_formulas(text) if "$$" not in text[start:end]
        ]
        if inline:
            spans += [match.span() for match in _INLINE_FORMULA.finditer(text)]
    if "|" in text:
        spans += [match.span() for match in _TABLE.finditer(text)]
    return sorted(spans)


def outside(cuts: list[int], spans: list[Span]) -> list[int]:
    """Return the cuts that fall into no span, both in order; time linear in their number."""
    free, reached, index = [], -1, 0
    for cut in cuts:
        while index < len(spans) and spans[index][0] < cut:
            reached = max(reached, spans[index][1])
            index += 1
        if cut >= reached:
            free.append(cut)
    return free


def _blocks(text: str) -> list[Span]:
    spans: list[Span] = []
    opener, start, depth, fence = "", 0, 0, ""
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup or ""
        if not opener:
            if kind in _CLOSES:
                opener, start, depth, fence = kind, token.start(), 1, token.group().strip()
        elif kind == _CLOSES[opener]:
            if kind in ("fence", "tildes") and len(token.group().strip()) < len(fence):
                continue
            depth -= 1
            if depth == 0:
                spans.append((start, token.end()))
                opener = ""
        elif kind == opener and opener == "begin":
            depth += 1
        elif kind in _RESTARTS.get(opener, ()) and text[token.start() - 1] != "\\":
            spans += _cut_off(text, opener, start, token.start())
            opener, start = kind, token.start()
    if opener in ("fence", "tildes") and text[text.rfind("\n", 0, start) + 1 : start].isspace() | (
        start == 0 or text[start - 1] == "\n"
    ):
        spans.append((start, len(text)))
    return spans + _cut_off(text, opener, start, len(text))


def _cut_off(text: str, opener: str, start: int, end: int) -> list[Span]:
    """Return the formula that is not closed up to ``end``, if its opening fills a line."""
    if opener not in ("display", "dollars", "begin"):
        return []
    before = text[max(0, start - _LONGEST_INDENT) : start].rpartition("\n")[2]
    if before.strip() or not _OPENING.match(text, start):
        return []
    prose = _NO_FORMULA.search(text, start, end)
    return [(start, prose.start() + 1 if prose else end)]


def _dollar_formulas(text: str) -> list[Span]:
    """Return formulas of several lines between two dollar signs, within one paragraph."""
    spans: list[Span] = []
    for line in _DOLLAR_LINE.finditer(text):
        if spans and line.start() < spans[-1][1]:
            continue
        closing = _DOLLAR.search(text, line.end() - 1)
        if closing and closing.group() == "$":
            spans.append((line.start(), closing.end()))
    return spans
