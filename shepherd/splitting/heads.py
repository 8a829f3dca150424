"""Find the heads of steps: ``Step 1:``, ``**STEP 2**``, ``### Step 3 -``, ``第一步：``."""

import re

_NUMBER_NAMES = "one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {name: value for value, name in enumerate(_NUMBER_NAMES.split(), start=1)}
_NUMBERS |= {sign: value for value, sign in enumerate("一二三四五六七八九十", start=1)}
_NUMBERS |= {
    name: value
    for value, name in enumerate(["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"], 1)
}
_DRESS = (
    r"[ \t]*+(?:>[ \t]*+)?(?:[-*+•][ \t]++)?(?:\#{1,6}[ \t]*+)?"
    r"(?:[*_\[(]|<b>|<strong>|\\(?:textbf|section\*?|subsection\*?|paragraph|text)\{)*+[ \t]*+"
)
_COUNT = rf"\d{{1,9}}|(?:{'|'.join(_NUMBERS)})(?![a-z])"
_NAME = (
    rf"(?:step[ \t]*+\#?[ \t]*+|(?:étape|schritt|paso|passo|шаг|krok|adım|langkah|bước|stap|steg"
    rf"|चरण|ステップ|단계|步骤|步驟)[ \t]*+)(?P<number>{_COUNT})"
    rf"|第[ ]?(?P<ordinal>\d{{1,3}}|[一二三四五六七八九十])[ ]?步"
)
_END = (
    r"(?:[ \t]*+(?:/|of)[ \t]*+\d{1,3})?(?:[ \t]*+\([^()\n]{1,60}\))?"
    r"(?:[ \t]*+(?:[:：)、]|\.(?!\d)|[-–—][ \t])|(?:[*_\]}]|</b>|</strong>)++|[ \t\r]*+(?=\n|$))"
)
_HEAD = rf"(?:{_DRESS})(?:{_NAME})(?:{_END})"
_FIRST_HEAD = re.compile(_HEAD, re.IGNORECASE)
_LATER_HEAD = re.compile("\n" + _HEAD, re.IGNORECASE)


def head_starts(text: str) -> list[int]:
    """Return where lines begin that open with the head of a step."""
    return [start for start, _ in _heads(text)]


def head_numbers(text: str) -> list[int]:
    """Return the numbers of the heads in ``text``, in order."""
    return [number for _, number in _heads(text)]


def _heads(text: str) -> list[tuple[int, int]]:
    first = _FIRST_HEAD.match(text)
    heads = [(0, _number(first))] if first else []
    # A pattern that begins with a fixed character is searched for twice as fast.
    return heads + [(head.start() + 1, _number(head)) for head in _LATER_HEAD.finditer(text)]


def _number(head: re.Match[str]) -> int:
    name = (head["number"] or head["ordinal"]).lower()
    return int(name) if name.isdigit() else _NUMBERS[name]
