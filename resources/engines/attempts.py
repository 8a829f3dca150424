"""Send a request to one server once, in the words of the endpoint that it speaks."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Protocol

import httpx

from resources.engines.chat_api import ChatApi
from resources.engines.completions_api import CompletionsApi
from resources.engines.continuation import find_continuation
from resources.engines.http_answers import HttpAnswer, receive
from resources.engines.manners import Continuation, Manners
from resources.engines.replicas import Replica
from resources.engines.server_answers import LONGEST_REASON, Drawn, Trouble, read
from shepherd.messages import one_line
from shepherd.requests import Completion, Request
from shepherd.settings import OpenAISettings
from shepherd.thoughts import has_thought


class Api(Protocol):
    """An endpoint: its place, and the JSON of requests and answers."""

    @property
    def path(self) -> str:
        """The place of the endpoint behind a server's address."""
        ...

    @property
    def has_turns(self) -> bool:
        """Whether it takes turns, so that a prefix must be continued and not only read."""
        ...

    def body(self, model: str, request: Request, manners: Manners) -> dict[str, object]:
        """Return the JSON object that asks for a request's completion."""
        ...

    def drawn(self, request: Request, content: object, manners: Manners) -> Drawn:
        """Return the completion of an answer's JSON value.

        Raises:
            ValidationError: the value is something else than one completion.
        """
        ...


class Attempts:
    """Single attempts at the servers of one model."""

    def __init__(self, model: str, settings: OpenAISettings, key: str) -> None:
        self._model = model
        self._timeout = settings.request_timeout
        self._key = key
        self._api: Api = ChatApi() if settings.endpoint == "chat" else CompletionsApi()

    async def attempt(
        self, http: httpx.AsyncClient, replica: Replica, request: Request
    ) -> Completion | Trouble:
        """Return a request's completion, its ``seconds`` at 0, or why there is none yet.

        Raises:
            ValueError: the server will never serve such requests.
        """
        if self._api.has_turns and request.prefix_length:
            trouble = await self._learn_to_continue(http, replica, request)
            if trouble is not None:
                return trouble
        return await self._ask(http, replica, request, replica.manners.continuation)

    async def _learn_to_continue(
        self, http: httpx.AsyncClient, replica: Replica, request: Request
    ) -> Trouble | None:
        """Find out, once for each server, how it continues the assistant's turn.

        Raises:
            ValueError: it does not, or the prefix holds a thought.
        """
        if has_thought(request.prefix):
            raise ValueError(
                "a prefix holds a thought, which chat templates remove: name servers that speak "
                "/completions (engine.openai.endpoint: completions)"
            )
        async with replica.trial:
            if replica.manners.continuation is not None:
                return None
            found = await find_continuation(partial(self._ask, http, replica))
            if isinstance(found, Trouble):
                return found
            replica.manners = replace(replica.manners, continuation=found)
        return None

    async def _ask(
        self,
        http: httpx.AsyncClient,
        replica: Replica,
        request: Request,
        continuation: Continuation | None,
    ) -> Completion | Trouble:
        """Send a request and read the answer.

        Raises:
            ValueError: the server will never serve such requests.
        """
        manners = replace(replica.manners, continuation=continuation)
        answer = await self._post(http, replica.url, request, manners)
        if isinstance(answer, Trouble):
            return answer
        if self._api.has_turns and _wants_other_limit(answer, manners):
            replica.manners = replace(replica.manners, limit="max_completion_tokens")
            return await self._ask(http, replica, request, continuation)
        parse = partial(self._api.drawn, request, manners=manners)
        return read(request, answer, parse, secret=self._key)

    async def _post(
        self, http: httpx.AsyncClient, url: str, request: Request, manners: Manners
    ) -> HttpAnswer | Trouble:
        body = self._api.body(self._model, request, manners)
        try:
            async with (
                asyncio.timeout(self._timeout),
                http.stream("POST", url + self._api.path, json=body) as response,
            ):
                return await receive(response)
        except TimeoutError:
            reason = f"no whole answer within {self._timeout:g} s (request_timeout)"
            return Trouble("down", reason, may_be_own=True)
        except httpx.TransportError as error:
            reason = one_line(f"{type(error).__name__} {error}")[:LONGEST_REASON]
            return Trouble("down", reason)


def _wants_other_limit(answer: HttpAnswer, manners: Manners) -> bool:
    """Return whether a server refuses ``max_tokens`` and names its successor."""
    is_refusal = answer.status == httpx.codes.BAD_REQUEST
    return (
        is_refusal and manners.limit == "max_tokens" and b"max_completion_tokens" in answer.content
    )
