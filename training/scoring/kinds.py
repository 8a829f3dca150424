"""The kinds of reward models."""

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["outcome", "process"]
"""``process`` scores each step, ``outcome`` the whole solution."""
