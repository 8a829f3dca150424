"""Cut a text into sentences, in time linear in its length."""

import re

_END = re.compile(r"[.!?][\"')*\]”’]*\s+|[。！？｡؟۔।॥።][\"')*”’』」）]*\s*|\n+")
_WORD_BEFORE = re.compile(r"(?:^|[^\w.])((?:\w+\.)*\w+)$")
_TITLES = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "rev",
        "gen",
        "col",
        "capt",
        "sgt",
        "lt",
        "hon",
        "e.g",
        "i.e",
        "cf",
        "vs",
        "viz",
        "approx",
        "fig",
        "figs",
        "eq",
        "eqs",
        "ch",
        "vol",
        "pp",
        "rs",
        "re",
        "thm",
        "lem",
        "def",
        "prop",
        "cor",
        "ref",
        "refs",
        "resp",
        "ca",
        "dept",
        "univ",
        "ave",
        "blvd",
        "mt",
        "sen",
        "rep",
        "gov",
        "p.ej",
        "z.b",
        "bzw",
        "usw",
        "n.b",
    ]
)
"""Abbreviations that end no sentence."""
_MAY_END = frozenset(
    [
        "a.m",
        "p.m",
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "jr",
        "sr",
        "al",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "ft",
        "in",
        "oz",
        "lb",
        "lbs",
        "hr",
        "hrs",
        "min",
        "mins",
        "sec",
        "secs",
        "sq",
        "cu",
        "yd",
        "mi",
        "u.s",
        "u.k",
        "no",
        "nos",
        "sec",
        "art",
        "ex",
        "p",
        "d.c",
        "ph.d",
    ]
)
"""Abbreviations that end a sentence only where a capital letter follows."""
_MONEY_BEFORE = re.compile(r"[$€£₹][ ]?\d[\d,]{0,12}$")
_CENTS_AFTER = re.compile(r"\d\d\b(?!\.\d)")
_CONTENT = re.compile(r"[ \t]*")
_BULLET = re.compile(r"[-*+•][ \t]")
_LONGEST_WORD = 12


def sentence_cuts(text: str) -> list[int]:
    """Return where sentences begin, but for the first.

    A newline always ends a sentence; the number of a list item and a bullet belong to theirs.
    """
    cuts = []
    line = content = previous = 0
    for match in _END.finditer(text):
        newline = text.rfind("\n", previous, match.start())
        if newline >= 0 or previous == 0:
            line = newline + 1
            spaces = _CONTENT.match(text, line)
            content = spaces.end() if spaces else line
        previous = match.start()
        ends_line = "\n" in match.group()
        length = match.start() - content
        opens_item = 1 <= length <= 2 and text[content : match.start()].isdigit()
        opens_item = opens_item and match.group().strip() == "." and not ends_line
        in_bullet = not ends_line and _BULLET.match(text, content)
        if not (opens_item or in_bullet or _BULLET.match(text, match.end())) and (
            ends_line or _ends_sentence(text, match)
        ):
            cuts.append(match.end())
    return cuts


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Say whether a full stop ends a sentence: not an abbreviation, nor an amount of money."""
    if text[match.start()] != ".":
        return True
    before = text[max(0, match.start() - _LONGEST_WORD) : match.start()]
    following = text[match.end() : match.end() + 4]
    if _MONEY_BEFORE.search(before) and _CENTS_AFTER.match(following):
        return False
    word = _WORD_BEFORE.search(before)
    if word is None:
        return True
    name = word[1]
    if (len(name) == 1 and name.isupper()) or name.lower() in _TITLES:
        return False
    return name.lower() not in _MAY_END or following[:1].isupper()
