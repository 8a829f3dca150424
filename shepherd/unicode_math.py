r"""Write Unicode mathematics as ASCII LaTeX: ``½`` as ``\frac{1}{2}``, ``x²`` as ``x^{2}``.

An answer is written in LaTeX by one model and in Unicode by the next. After this step both have
the same spelling. A character without a LaTeX spelling stays as it is. Time is linear in the
length of the text.
"""

import re
import unicodedata

_GREEK_SPELLINGS = (
    "α alpha β beta γ gamma δ delta ε epsilon ϵ epsilon ζ zeta η eta θ theta ι iota κ kappa λ "
    "lambda μ mu ν nu ξ xi π pi ρ rho σ sigma τ tau φ phi ϕ phi χ chi ψ psi ω omega Γ Gamma Δ "
    "Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Φ Phi Ψ Psi Ω Omega"
)
_SIGN_SPELLINGS = (
    "× times ⋅ cdot · cdot ∙ cdot ÷ div ≤ le ⩽ le ≥ ge ⩾ ge ≠ ne ± pm ∓ mp ∞ infty ∪ cup ∩ "
    "cap ∈ in ∉ notin ∅ emptyset ⌀ emptyset ∠ angle △ triangle ℝ mathbb{R} ℤ mathbb{Z} ℕ "
    "mathbb{N} ℚ mathbb{Q} ℂ mathbb{C} ⟨ langle ⟩ rangle 〈 langle 〉 rangle … ldots ⋯ cdots ⌊ "
    "lfloor ⌋ rfloor ⌈ lceil ⌉ rceil ≈ approx ≡ equiv ∖ setminus ⊥ perp ∥ parallel"
)

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", "0123456789+-=()", strict=True))
_GREEK = _GREEK_SPELLINGS.split()
_COMMANDS = _SIGN_SPELLINGS.split()
_PLAIN = {
    **dict.fromkeys("−–—‒―﹣⁻", "-"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‘’‚′ʹ", "'"),
    **dict.fromkeys("∗＊", "*"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u2061\u2062\u00ad", ""),
    "∶": ":",
    "٪": "%",
    "٫": ".",
    "٬": ",",
    "，": ", ",
    "、": ", ",
    "；": "; ",
    "。": ".",
    "°": "^{\\circ}",
    "º": "^{\\circ}",
    "℃": "^{\\circ} C",
    "℉": "^{\\circ} F",
    "″": "''",
}
_TABLE = {
    **{
        ord(sign): f"\\{name} "
        for sign, name in zip(
            [*_GREEK[::2], *_COMMANDS[::2]], [*_GREEK[1::2], *_COMMANDS[1::2]], strict=True
        )
    },
    **{ord(sign): plain for sign, plain in _PLAIN.items()},
}
_RAISED = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_LOWERED = re.compile(f"[{''.join(_SUBSCRIPTS)}]+")
_SOLIDUS = re.compile(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)[⁄/]([₀₁₂₃₄₅₆₇₈₉]+)")
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")
_RADICAL = re.compile(r"([√∛∜])\s*(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]|\{[^{}]*\})?)")
_RADICALS = {"√": "\\sqrt", "∛": "\\sqrt[3]", "∜": "\\sqrt[4]"}


def ascii_math(text: str) -> str:
    """Return ``text`` with Unicode digits, signs, powers and fractions in ASCII LaTeX."""
    if text.isascii():
        return text
    text = _SOLIDUS.sub(_written_fraction, text)
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _RAISED.sub(lambda run: f"^{{{_spelled(run.group(), _SUPERSCRIPTS)}}}", text)
    text = _LOWERED.sub(lambda run: f"_{{{_spelled(run.group(), _SUBSCRIPTS)}}}", text)
    text = _RADICAL.sub(_radical, text).translate(_TABLE)
    return "".join(char if char.isascii() else _ascii(char) for char in text)


def _spelled(run: str, table: dict[str, str]) -> str:
    return "".join(table[char] for char in run)


def _written_fraction(match: re.Match[str]) -> str:
    over, under = _spelled(match[1], _SUPERSCRIPTS), _spelled(match[2], _SUBSCRIPTS)
    return f"\\frac{{{over}}}{{{under}}}"


def _vulgar_fraction(match: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", match.group()).partition("⁄")
    return f"\\frac{{{over}}}{{{under}}}"


def _radical(match: re.Match[str]) -> str:
    inner = match[2] if match[2] is not None else (match[3] or "").strip("{}")
    return f"{_RADICALS[match[1]]}{{{inner}}}" if inner else _RADICALS[match[1]]


def _ascii(char: str) -> str:
    """Return a digit, a wide letter or a space in ASCII; other characters stay."""
    if unicodedata.decimal(char, None) is not None:
        return str(unicodedata.decimal(char))
    if char.isspace():
        return " "
    folded = unicodedata.normalize("NFKC", char)
    return folded if folded.isascii() else char
