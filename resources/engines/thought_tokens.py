"""Count the tokens that a completion spends on its thought."""

from bisect import bisect_left
from collections.abc import Callable

from shepherd.requests import Request


def count_thought_tokens(
    request: Request, text: str, num_tokens: int, length_of: Callable[[int], int]
) -> int:
    """Return how many of a completion's tokens belong to its thought.

    ``length_of`` returns the characters of the first tokens of a completion, given their number.
    """
    end = request.summary_start(text)
    if end in (0, len(text)):
        return num_tokens if end else 0
    return bisect_left(range(num_tokens), end, key=length_of)


def estimated_thought_tokens(request: Request, text: str, num_tokens: int) -> int:
    """Return the same from the share of the characters, where the tokens are not known."""
    return round(num_tokens * request.summary_start(text) / max(1, len(text)))
