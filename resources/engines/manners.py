"""How one chat server wants to be asked: what differs between servers of one protocol."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Continuation:
    """The way in which a server continues the assistant's last turn."""

    name: str
    body: dict[str, object] = field(default_factory=dict)
    """Fields of the request."""

    message: dict[str, object] = field(default_factory=dict)
    """Fields of the last turn."""

    echoes: bool = False
    """Whether the answer repeats the beginning of the turn."""


CONTINUATIONS = (
    # vLLM, SGLang, TGI, tabbyAPI, and llama.cpp since May 2026.
    Continuation(
        "continue_final_message",
        {"continue_final_message": True, "add_generation_prompt": False},
    ),
    # DeepSeek (under /beta) and Mistral.
    Continuation("prefix", message={"prefix": True}),
    # llama.cpp, LMDeploy, and some models behind OpenRouter.
    Continuation("assistant turn"),
)
"""The ways that servers are tried in. A server ignores or refuses fields that it does not know."""


@dataclass(frozen=True)
class Manners:
    """What is known of a server."""

    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The name of the limit of tokens: OpenAI's later models take the second alone."""

    continuation: Continuation | None = None
    """How it continues a turn; null before it was tried."""
