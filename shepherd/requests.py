"""The engine protocol: requests in, completions out as they finish, in any order."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Request(NamedTuple):
    """One completion to draw.

    The same ``prompt`` may stand in many requests: engines compute its prefill once.
    ``max_tokens`` counts new tokens, the stop token included. With ``stop`` a completion also
    ends after the first place where its text holds that string.
    """

    id: str
    prompt: str
    seed: int
    temperature: float
    max_tokens: int
    stop: str | None = None


class Completion(NamedTuple):
    """What came of a request. ``text`` continues the prompt and excludes the stop token.

    It includes the request's ``stop`` string, and ends with it if and only if that ended it.

    ``finish_reason`` is ``stop``, ``length`` or ``error`` (then ``error`` says why and the
    text is empty). ``seconds`` is this request's share of the engine's wall-clock time, so
    that the sum over requests is the time the engine worked.
    """

    request_id: str
    text: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    num_tokens: int
    seconds: float
    error: str | None = None


class Engine(Protocol):
    """Draws completions. Requests may be added while others run."""

    capacity: int
    """How many requests keep the engine busy; a caller keeps about twice that many queued."""

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests. Never blocks on the model."""
        ...

    def poll(self) -> list[Completion]:
        """Work until at least one request finishes and return what has; [] if none is queued."""
        ...

    def close(self) -> None:
        """Free the model's memory. Queued requests are dropped."""
        ...
