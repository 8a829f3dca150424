"""The type of an entailment model."""

from collections.abc import Callable, Sequence

Pair = tuple[str, str]
"""Premise and hypothesis."""

Entails = Callable[[Sequence[Pair]], Sequence[float]]
"""Returns, for each pair, the probability that the premise entails the hypothesis."""
