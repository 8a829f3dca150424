"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `` (did you mean `name`?)`` for the nearest name; nothing if none is near."""
    nearest = get_close_matches(word, list(names), n=1)
    return f" (did you mean `{nearest[0]}`?)" if nearest else ""
