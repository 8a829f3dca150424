r"""Take the dress off a bare answer: delimiters, spacing, text commands, units and currency.

The result is for comparing, not for reading: it need not be valid LaTeX.
"""

import re

_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"))
_SYNONYMS = (
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
    ("\\left", ""),
    ("\\right", ""),
    ("\\{", "{"),
    ("\\}", "}"),
    ("\\%", "%"),
    ("{,}", ","),
    (",\\!", ","),
    ("−", "-"),
    ("–", "-"),
    ("\\displaystyle", ""),
)
_DOUBLED = re.compile(r"(?<!\\)\\\\(?=(?:boxed|text|frac|left|right|sqrt)\b)")
_TEXT = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname)\{([^{}]*)\}(\^\{?\d\}?)?"
)
_SPACING = re.compile(r"(?:(?<!\\)\\[!,;:> ]|\\q?quad(?![A-Za-z])|~|\s)+")
_DEGREES = re.compile(r"(?<=[\d}]) ?(?:\^ ?(?:\{ ?\\circ ?\}|\\circ\b)|°|\\degrees?\b)")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_CURRENCY = re.compile(r"(?:\\?\$|[£€¥]|\\pounds\b|US\$)(?=[ ]*[-+.\d\\])")
_AND = re.compile(r"[ ]*,?[ ]*(?<![A-Za-z])(?:and|or)(?![a-z])[ ]*")
_SPACED_COMMA = re.compile(r"(?<=\d),[ ]+(?=\d{3}(?!\d))")
_FRACTION = re.compile(r"\\frac ?(?:\{([^{}]*)\}|(\w)) ?(?:\{([^{}]*)\}|(\w))")
_ROOT = re.compile(r"\\sqrt ?(\w)")
_LOOSE_SPACE = re.compile(r"(?<!\d) | (?!\d)")

_VALUE = r"[-+]?(?:[\d.,/ ]*\d\.?|[\d ]*\\frac\{[^{}]*\}\{[^{}]*\})"
_ABBREVIATION = r"(?:mm|cm|km|kg|mg|ml|ft|in|lb|oz|mph|hr|min|sec|dollars?|cents?|m|g|s|h)"
_WORD = r"[A-Za-z]{2,}\.?(?:\^\{?\d\}?)?"
_MEASURED = re.compile(
    rf"(?P<value>{_VALUE}) ?(?:(?P<percent>%|percent\b)|(?: (?P<words>{_WORD}"
    rf"(?:[ /-](?:{_WORD}|[a-z]))*)|(?P<text>\\text .*)|(?P<short>{_ABBREVIATION}))"
    r"(?: ?(?:\^\{?\d\}?))?)"
)
_NOT_A_UNIT = re.compile(
    r"\b(?:pi|sqrt|sin|cos|tan|log|ln|exp|mod|and|or|to|hundred|thousand|million|billion|trillion"
    r"|dozen|percent|am|pm|[ap]\.m)\b",
    re.IGNORECASE,
)


def normalize(answer: str) -> str:
    """Return ``answer`` without dress; a percent sign stays, at the end."""
    text = _unwrap(_DOUBLED.sub(r"\\", answer.strip()))
    for written, plain in _SYNONYMS:
        if written in text:
            text = text.replace(written, plain)
    text = _TEXT.sub(r" \\text \1\2 ", text)
    text = _SPACING.sub(" ", text).strip().rstrip("\\.").strip()
    text = _unwrap(_CURRENCY.sub("", text))
    if not _TRIGONOMETRY.search(text):
        text = _DEGREES.sub("", text)
    text = _FRACTION.sub(_braced, text)
    text = _without_unit(text).replace("\\text ", " ")
    text = _SPACED_COMMA.sub(";", _AND.sub(", ", text))
    text = _ROOT.sub(r"\\sqrt{\1}", text)
    return _LOOSE_SPACE.sub("", text.strip())


def _without_unit(text: str) -> str:
    match = _MEASURED.fullmatch(text)
    if not match:
        return text
    unit = match["words"] or match["text"] or ""
    if _NOT_A_UNIT.search(unit):
        return text
    return match["value"] + ("%" if match["percent"] else "")


def _braced(match: re.Match[str]) -> str:
    over = match[1] if match[1] is not None else match[2]
    under = match[3] if match[3] is not None else match[4]
    return f"\\frac{{{over}}}{{{under}}}"


def _unwrap(text: str) -> str:
    for opening, closing in _WRAPPERS:
        if text.startswith(opening) and text.endswith(closing) and len(text) > 2 * len(opening):
            inner = text[len(opening) : -len(closing)]
            if opening not in inner and closing not in inner:
                text = inner.strip()
                break
    if text.startswith("\\boxed{") and text.count("\\boxed") == 1:
        return text[7:-1].strip() if text.endswith("}") else text[7:].strip()
    return text
