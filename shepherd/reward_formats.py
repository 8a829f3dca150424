"""The formats in which reward models read a solution, and the published models of each.

| format | where a score is read | its models |
| --- | --- | --- |
| ``tags`` | at `` ки`` behind each step: ``+`` against ``-``, or a scalar head | trained here |
| ``math_shepherd`` | the same, in the published text ``question step ки`` | Math-Shepherd |
| ``extra_token`` | at ``<extra_0>`` behind each step: a two-way classifier | Qwen2.5-Math-PRM |
| ``chat_turns`` | before the answer ``+`` to each step, a turn of a chat | RLHFlow |
| ``value_head`` | at the newline that ends each step: a value head | Skywork-o1-Open-PRM |
"""

from pathlib import PurePath
from typing import Literal

RewardFormat = Literal["tags", "math_shepherd", "extra_token", "chat_turns", "value_head"]
FormatChoice = Literal["auto", "tags", "math_shepherd", "extra_token", "chat_turns", "value_head"]
"""A format, or ``auto``: that of the checkpoint's name, or what its parts show."""

PUBLISHED: dict[str, RewardFormat] = {
    "peiyi9979/math-shepherd-mistral-7b-prm": "math_shepherd",
    "Qwen/Qwen2.5-Math-PRM-7B": "extra_token",
    "Qwen/Qwen2.5-Math-PRM-72B": "extra_token",
    "Qwen/Qwen2.5-Math-7B-PRM800K": "extra_token",
    "RLHFlow/Llama3.1-8B-PRM-Mistral-Data": "chat_turns",
    "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data": "chat_turns",
    "RLHFlow/Llama3.1-8B-ORM-Mistral-Data": "chat_turns",
    "RLHFlow/Llama3.1-8B-ORM-Deepseek-Data": "chat_turns",
    "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B": "value_head",
    "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B": "value_head",
}
"""The published models by their names on the hub."""


def format_by_name(model: str) -> RewardFormat | None:
    """Return the format of a published model by its hub name or its folder; None if unknown.

    A folder of the path is called as the model is (``Qwen2.5-Math-PRM-7B``), or as the hub's cache
    calls it (``models--Qwen--Qwen2.5-Math-PRM-7B``).
    """
    parts = {part.lower() for part in PurePath(model).parts}
    for name, reward_format in PUBLISHED.items():
        owner, short_name = name.lower().split("/")
        if parts & {short_name, f"models--{owner}--{short_name}"}:
            return reward_format
    return None
