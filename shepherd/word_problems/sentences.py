"""Write the sentences of word problems, and read them back."""

import re
from dataclasses import dataclass

MAX_VALUE = 20
"""The largest number of a right solution. The tokenizer has tokens up to twice this number."""

NAMES = ("Tom", "Ann", "Sam", "Mia", "Ben", "Eva", "Max", "Zoe", "Leo", "Ida", "Jon", "Amy")
ITEMS = ("apples", "books", "coins", "cards", "stamps", "shells", "pens", "balls", "eggs", "nuts")

PHRASES = {
    "have": ("{who} has {n} {item}.", "{who} starts with {n} {item}."),
    "gain": ("{who} finds {n} more.", "{who} buys {n} more.", "A friend gives {who} {n} more."),
    "lose": ("{who} loses {n}.", "{who} sells {n}.", "{who} gives away {n}."),
    "times": ("Then {who} has {n} times as many.", "{who} wins until there are {n} times as many."),
    "packs": (
        "{who} gets {n} boxes with {m} {item} each.",
        "{who} picks {m} {item} on each of {n} days.",
    ),
    "more": ("{other} has {n} more than {who}.",),
    "fewer": ("{other} has {n} fewer than {who}.",),
    "multiple": ("{other} has {n} times as many as {who}.",),
    "noise": (
        "{who} is {n} years old.",
        "The shop opens at {n}.",
        "It is day {n} of the month.",
        "{who} has {n} friends.",
    ),
    "ask": ("How many {item} does {who} have now?", "How many {item} are with {who} at the end?"),
    "ask_both": ("How many {item} do {who} and {other} have together?",),
}
"""Sentences by kind. Kinds from ``gain`` to ``multiple`` and ``ask_both`` are arithmetic."""

_FIELDS = {
    "who": r"(?P<who>[A-Z][a-z]+)",
    "other": r"(?P<other>[A-Z][a-z]+)",
    "n": r"(?P<n>\d+)",
    "m": r"(?P<m>\d+)",
    "item": r"(?P<item>[a-z]+)",
}
_PATTERNS = [
    (kind, index, re.compile(re.sub(r"\\{(\w+)\\}", lambda m: _FIELDS[m[1]], re.escape(phrase))))
    for kind, phrases in PHRASES.items()
    for index, phrase in enumerate(phrases)
]


@dataclass(frozen=True)
class Sentence:
    """One sentence: its kind, its phrase's index in PHRASES[kind] and what fills the phrase."""

    kind: str
    phrase: int
    who: str = ""
    other: str = ""
    n: int = 0
    m: int = 0
    item: str = ""

    def text(self) -> str:
        """Return the English sentence."""
        return PHRASES[self.kind][self.phrase].format(
            who=self.who, other=self.other, n=self.n, m=self.m, item=self.item
        )


def read_sentence(text: str) -> Sentence:
    for kind, phrase, pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            fields = match.groupdict()
            who, other, item = (fields.get(name, "") for name in ("who", "other", "item"))
            n, m = (int(fields.get(name, 0)) for name in ("n", "m"))
            return Sentence(kind, phrase, who=who, other=other, n=n, m=m, item=item)
    raise ValueError(f"not a word problem of this project: sentence {text!r} is unknown")
