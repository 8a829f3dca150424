"""Read the answers of OpenAI-compatible servers: a completion, or why there is none yet."""

import codecs
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from resources.engines.finish_reasons import Ending, ending_of
from resources.engines.http_answers import HttpAnswer
from resources.engines.thought_tokens import estimated_thought_tokens
from shepherd.messages import one_line, shown
from shepherd.requests import Completion, Request

REFUSED = {400, 413, 422}
"""Status codes of requests that cannot be served, now or later."""

UNSUPPORTED = {"unsupported_parameter", "unsupported_value"}
"""OpenAI's codes of requests whose fields or values the model never takes."""

BUSY = {408, 409, 423, 425, 429}
"""Status codes of servers that may serve the request later."""

FAILED = {424, 499}
"""Status codes below 500 of servers or proxies on which a request failed."""

STATUS_OF_WORD = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 503,
}
"""Status codes for which the errors in a body have words, at OpenAI and Anthropic."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds that a server's Retry-After header is followed at most."""

LONGEST_REASON = 300
"""Characters of a server's message at most."""

_NO_SERVER = "name one that does, such as vLLM's, in engine.openai.base_urls"


@dataclass(frozen=True)
class Trouble:
    """Says why a request has no completion yet."""

    kind: Literal["busy", "down", "faulty", "absent"]
    """``busy``: the server asks for time; ``down``: it failed; ``faulty``: it reports an error that
    says not whether to try again; ``absent``: it lacks the model."""

    reason: str
    retry_after: float = 0.0
    """Seconds for which the server asks to be left alone."""

    may_be_own: bool = False
    """Whether the request itself may be what the server fails on."""


_Count = Annotated[int, Field(ge=0, lt=2**31)]


class UnsupportedError(ValueError):
    """The server takes no request with such a field or value."""


class _PromptDetails(BaseModel):
    cached_tokens: _Count | None = None


class _CompletionDetails(BaseModel):
    reasoning_tokens: _Count | None = None


class Usage(BaseModel):
    """The tokens of prompt and completion, as far as a server counts them."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


@dataclass(frozen=True)
class Drawn:
    """A completion in the words of a server, whichever its endpoint."""

    text: str
    finish_reason: object
    stop_reason: object
    """What ended the text, as vLLM and SGLang say it: a stop string, a token or null."""

    names_stop: bool
    """Whether the answer has a field ``stop_reason``."""

    usage: Usage
    is_refusal: bool = False
    """Whether the model refuses to answer, in a field of its own."""


def sampling_fields(model: str, request: Request) -> dict[str, object]:
    """Return the fields of a request that all endpoints share, without the limit of tokens."""
    fields: dict[str, object] = {
        "model": model,
        "seed": request.seed,
        "temperature": request.temperature,
        # Servers may have other defaults, such as those of the model's generation config.
        "top_p": request.top_p,
    }
    return {**fields, "stop": list(request.stop)} if request.stop else fields


def read(
    request: Request, answer: HttpAnswer, parse: Callable[[object], Drawn], *, secret: str
) -> Completion | Trouble:
    """Return the completion of an answer, its ``seconds`` at 0, or why there is none yet.

    ``parse`` takes the JSON value of a body. ``secret`` is the API key, which is removed from
    messages.

    Raises:
        ValueError: no request will ever be served, as a wrong key; the message names the status.
    """
    message = _message(answer, secret)
    if not httpx.codes.is_success(answer.status):
        return _by_status(request, answer, answer.status, f"{answer.status} {message}")
    try:
        content = _decoded(answer)
    except ValueError as error:
        return _no_completion(answer.status, str(error), message)
    fields = content if isinstance(content, dict) else {}
    if fields.get("error") or fields.get("object") == "error":
        reason, status = f"{answer.status} with an error: {message}", _status_within(fields)
        if status is None:
            return Trouble("faulty", reason, may_be_own=True)
        return _by_status(request, answer, status, reason)
    try:
        return _completion(request, parse(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        cause = f"something else than one completion ({place}: {first['msg']})"
        return _no_completion(answer.status, cause, message)


def _no_completion(status: int, cause: str, message: str) -> Trouble:
    return Trouble("down", one_line(f"{status} with {cause}: {message}"), may_be_own=True)


def _decoded(answer: HttpAnswer) -> object:
    """Return the JSON value of a body.

    Raises:
        ValueError: the body is not JSON; the message says what the server sent instead.
    """
    if answer.fault:
        raise ValueError(answer.fault)
    content = answer.content.removeprefix(codecs.BOM_UTF8)
    if content.lstrip().startswith((b"data:", b"event:")):
        raise ValueError("an event stream, which was not asked for")
    try:
        # JSON is UTF-8, whatever charset a header names.
        return from_json(content.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"a body that is not UTF-8 at byte {error.start + 1}") from error
    except ValueError as error:
        raise ValueError(f"a body that is not JSON ({error})") from error


def refusal(request: Request, reason: str) -> Completion:
    """Return the completion that records a request's failure."""
    return Completion(request.id, "", "error", 0, 0, 0, 0.0, reason)


def _by_status(
    request: Request, answer: HttpAnswer, status: int, reason: str
) -> Completion | Trouble:
    if status in REFUSED:
        if any(f'"{code}"' in reason for code in UNSUPPORTED):
            raise UnsupportedError(reason)
        return refusal(request, reason)
    if status in BUSY:
        return Trouble("busy", reason, retry_after_seconds(answer.retry_after))
    if status in FAILED or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        is_own = status in FAILED or status == httpx.codes.INTERNAL_SERVER_ERROR
        return Trouble("down", reason, retry_after_seconds(answer.retry_after), may_be_own=is_own)
    if status == httpx.codes.NOT_FOUND:
        return Trouble("absent", reason)
    raise ValueError(reason)


def _status_within(fields: dict[str, object]) -> int | None:
    """Return the status code that an error in a body names, if it names one."""
    error = fields.get("error")
    for holder in (error if isinstance(error, dict) else {}, fields):
        for name in ("code", "status", "status_code", "type"):
            code = str(holder.get(name))
            if code in STATUS_OF_WORD:
                return STATUS_OF_WORD[code]
            if code.isascii() and code.isdigit() and len(code) == 3 and code >= "400":
                return int(code)
    return None


def _completion(request: Request, drawn: Drawn) -> Completion | Trouble:
    usage = drawn.usage
    ending = "filtered" if drawn.is_refusal else ending_of(drawn.finish_reason)
    word = shown(drawn.finish_reason)
    if ending == "unsaid" and usage.completion_tokens is not None:
        ending = "length" if usage.completion_tokens >= request.max_tokens else "stop"
    if ending is None or ending == "unsaid":
        raise ValueError(
            f"the server ends a completion with finish_reason {word}, which does not say whether "
            f"it is whole: {_NO_SERVER}"
        )
    if ending == "unfinished":
        return Trouble("faulty", f"the server broke off (finish_reason {word})", may_be_own=True)
    if ending == "filtered":
        return refusal(request, "the server's content filter cut the completion")
    text = _ended_text(request, drawn, ending)
    details, num_tokens = usage.prompt_tokens_details, usage.completion_tokens or 0
    counted = usage.completion_tokens_details
    thought_tokens = counted and counted.reasoning_tokens
    return Completion(
        request_id=request.id,
        text=text,
        finish_reason="length" if ending == "length" else "stop",
        prompt_tokens=usage.prompt_tokens or 0,
        cached_tokens=(details and details.cached_tokens) or 0,
        num_tokens=num_tokens,
        seconds=0.0,
        # A server without a parser of thoughts counts 0 of them.
        thought_tokens=thought_tokens or estimated_thought_tokens(request, text, num_tokens),
    )


def _ended_text(request: Request, drawn: Drawn, ending: Ending) -> str:
    """Return the text of a whole completion, cut as the request says.

    Raises:
        ValueError: the stop string that ended the text must stay, and the server names none.
    """
    text = drawn.text
    if request.stop and request.keep_stop:
        if ending == "stop" and not drawn.names_stop:
            raise ValueError(
                "the server does not say whether a stop string ended a completion (stop_reason): "
                + _NO_SERVER
            )
        named = [stop for stop in request.stop if stop == drawn.stop_reason]
        ends = named or (request.stop[:1] if ending == "stop_string" else [])
        # Most servers leave the stop string out of the text.
        if ends and ending != "length" and not text.endswith(ends[0]):
            text += ends[0]
    return request.ended(text)


def _message(answer: HttpAnswer, secret: str) -> str:
    """Return the server's message in one short line."""
    # Ten bytes hold a character at most, even where JSON escapes it.
    text = answer.content[: 100 * LONGEST_REASON].decode(errors="replace")
    if secret:
        text = text.replace(secret, "***")
    return one_line(text)[:LONGEST_REASON] or one_line(answer.phrase)


def retry_after_seconds(value: str) -> float:
    """Return the seconds of a Retry-After header, which holds seconds or a date; 0 without."""
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            seconds = 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
