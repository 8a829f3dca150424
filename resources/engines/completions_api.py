"""Write requests to an OpenAI-compatible ``/completions`` and read its answers."""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx
from pydantic import BaseModel, Field, ValidationError

from shepherd.requests import Completion, Request

REFUSED = {400, 413, 422}
"""Status codes of requests that cannot be served, now or later."""

BUSY = {408, 409, 425, 429}
"""Status codes of servers that may serve the request later."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds that a server's Retry-After header is followed at most."""

LONGEST_REASON = 300
"""Characters of a server's message at most."""


@dataclass(frozen=True)
class Trouble:
    """Says why a request has no completion yet."""

    kind: Literal["busy", "down", "absent"]
    """``busy``: the server asks for time; ``down``: it failed; ``absent``: it lacks the model."""

    reason: str
    retry_after: float = 0.0
    """Seconds for which the server asks to be left alone."""

    may_be_own: bool = False
    """Whether the request itself may be what the server fails on."""


class _Choice(BaseModel):
    text: str
    finish_reason: Literal["stop", "length", "content_filter"]
    stop_reason: int | str | None = None


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1, max_length=1)
    usage: _Usage


def body(model: str, request: Request) -> dict[str, str | int | float]:
    """Return the JSON object that asks for a request's completion."""
    fields: dict[str, str | int | float] = {
        "model": model,
        "prompt": request.prompt,
        "seed": request.seed,
        "temperature": request.temperature,
        # Servers may have other defaults, such as those of the model's generation config.
        "top_p": 1.0,
        "max_tokens": request.max_tokens,
    }
    return {**fields, "stop": request.stop} if request.stop else fields


def read(request: Request, response: httpx.Response, *, secret: str) -> Completion | Trouble:
    """Return the completion of an answer, its ``seconds`` at 0, or why there is none yet.

    ``secret`` is the API key, which is removed from messages.

    Raises:
        ValueError: no request will ever be served, as a wrong key; the message names the status.
    """
    status, message = response.status_code, _message(response, secret)
    reason = f"{status} {message}"
    if status == httpx.codes.OK:
        return _read_completion(request, response, message)
    if status in REFUSED:
        return refusal(request, reason)
    if status in BUSY:
        return Trouble("busy", reason, _retry_after(response))
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        is_own = status == httpx.codes.INTERNAL_SERVER_ERROR
        return Trouble("down", reason, _retry_after(response), may_be_own=is_own)
    if status == httpx.codes.NOT_FOUND:
        return Trouble("absent", reason)
    raise ValueError(reason)


def refusal(request: Request, reason: str) -> Completion:
    """Return the completion that records a request's failure."""
    return Completion(request.id, "", "error", 0, 0, 0, 0.0, reason)


def _read_completion(
    request: Request, response: httpx.Response, message: str
) -> Completion | Trouble:
    try:
        answer = _Answer.model_validate_json(response.content)
    except ValidationError:
        reason = f"200 with something else than one completion: {message}"
        return Trouble("down", reason, may_be_own=True)
    [choice], usage = answer.choices, answer.usage
    if choice.finish_reason == "content_filter":
        return refusal(request, "the server's content filter cut the completion")
    text = choice.text
    if request.stop and choice.finish_reason == "stop":
        if "stop_reason" not in choice.model_fields_set:
            raise ValueError(
                "the server does not say whether a stop string ended a completion (stop_reason): "
                "use one that does, such as vLLM's"
            )
        # Servers leave the stop string out of the text.
        text += request.stop if choice.stop_reason == request.stop else ""
    details = usage.prompt_tokens_details
    return Completion(
        request_id=request.id,
        text=text,
        finish_reason=choice.finish_reason,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=(details and details.cached_tokens) or 0,
        num_tokens=usage.completion_tokens,
        seconds=0.0,
    )


def _message(response: httpx.Response, secret: str) -> str:
    """Return the server's message in one short line."""
    text = " ".join(response.text.split())
    if secret:
        text = text.replace(secret, "***")
    return text[:LONGEST_REASON] or response.reason_phrase


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds of the Retry-After header, which holds seconds or a date; 0 without."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            seconds = 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
