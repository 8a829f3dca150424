"""Add up what completions cost, as rows of the cost tables."""

from dataclasses import astuple, dataclass
from operator import add

import polars as pl


@dataclass(frozen=True)
class Cost:
    """The cost of some completions.

    Each field but ``num_requests`` is the sum of a field of
    :class:`shepherd.requests.Completion`; ``seconds`` are those of the engine.
    """

    num_requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    thought_tokens: int = 0

    @classmethod
    def of(cls, completions: pl.DataFrame) -> "Cost":
        """Add up ``COMPLETIONS``; those from a journal cost what they cost when they were drawn."""
        return cls(
            completions.height,
            int(completions["prompt_tokens"].sum()),
            int(completions["cached_tokens"].sum()),
            int(completions["num_tokens"].sum()),
            float(completions["seconds"].sum()),
            int(completions["thought_tokens"].sum()),
        )

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(add, astuple(self), astuple(other)))
