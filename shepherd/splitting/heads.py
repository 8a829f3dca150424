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
    r"[ \t]*(?:>[ \t]*)?(?:[-*+•][ \t]+)?(?:\#{1,6}[ \t]*)?"
    r"(?:\*{1,3}|_{1,2}|<b>|<strong>|\\(?:textbf|section\*?|subsection\*?|paragraph|text)\{|\[|\()*[ \t]*"
)
_COUNT = rf"\d{{1,9}}|(?:{'|'.join(_NUMBERS)})(?![a-z])"
_NAME = (
    rf"(?:step[ \t]*\#?[ \t]*|(?:étape|schritt|paso|passo|шаг|krok|adım|langkah|bước|stap|steg"
    rf"|चरण|ステップ|단계|步骤|步驟)[ \t]*)(?P<number>{_COUNT})"
    rf"|第[ ]?(?P<ordinal>\d{{1,3}}|[一二三四五六七八九十])[ ]?步"
)
_END = (
    r"(?:[ \t]*(?:/|of)[ \t]*\d{1,3})?(?:[ \t]*\([^()\n]{1,60}\))?"
    r"(?:[ \t]*(?:[:：)、]|\.(?!\d)|[-–—][ \t])|(?:\*{1,3}|_{1,2}|\]|\}|</b>|</strong>)+|[ \t\r]*(?=\n|$))"
)
_HEAD = re.compile(rf"(?:{_DRESS})(?:{_NAME})(?:{_END})", re.IGNORECASE)
_HINT = re.compile(r"step|[^\x00-\x7f]|schritt|paso|passo|krok|langkah|stap", re.IGNORECASE)


def head_starts(text: str) -> list[int]:
    """Return where lines begin that open with the head of a step."""
    return [start for start, _ in _heads(text)]


def head_numbers(text: str) -> list[int]:
    """Return the numbers of the heads in ``text``, in order."""
    return [number for _, number in _heads(text)]


def _heads(text: str) -> list[tuple[int, int]]:
    heads = []
    start = -1
    for hint in _HINT.finditer(text):
        line = text.rfind("\n", max(start, 0), hint.start()) + 1
        if start >= 0 and line <= start:
            continue
        start = max(line, 0)
        match = _HEAD.match(text, start)
        if match:
            number = (match["number"] or match["ordinal"]).lower()
            heads.append((start, int(number) if number.isdigit() else _NUMBERS[number]))
    return heads
