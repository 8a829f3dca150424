"""Draw completions of one model from OpenAI-compatible servers, by text or by chat."""

import asyncio
import operator
import os
import queue
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import httpx
import polars as pl

from resources.engines.attempts import Attempts
from resources.engines.clock import SharedClock
from resources.engines.prefix_queue import PrefixQueue
from resources.engines.replicas import FAILURES_TO_OPEN, Replica, Replicas
from resources.engines.server_answers import Trouble, refusal
from shepherd.requests import Completion, Request, completion_block, request_rows
from shepherd.settings import OpenAISettings

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
"""Seconds before the first and before any later retry of a request."""

SECONDS_BETWEEN_LOOKS = 0.1
"""Seconds after which a request that no server has room for looks again."""

CONNECT_TIMEOUT = 10.0
"""Seconds in which a server must accept a connection."""

MAX_ATTEMPTS = 10
"""Failures of one request, while servers answer others, after which the failure is its own."""

MAX_ERRORS = 3
"""The same where a server reports an error with status 200, which says not whether it will pass.
If no server answers others, such errors end the run."""

MAX_FAILURES = FAILURES_TO_OPEN + 2
"""Failures in a row of each server, counted as its circuit breaker counts them, at which such an
error ends the run, too. Many requests in flight share the tries, and each gets few."""


class OpenAIEngine:
    """Draws completions from servers that serve ``model`` under that name.

    ``batch_size`` requests run on each server at once. Those of one question go to one server while
    it has room. A request is tried again while it may succeed; a request that cannot succeed is
    recorded as an error.

    ``poll`` raises:
        ValueError: no server has answered for ``settings.patience`` seconds, none has the model,
            one refuses the key, or one speaks chat and does not continue a prefix. The next run
            tries unfinished requests again.
    """

    def __init__(self, model: str, settings: OpenAISettings, *, batch_size: int) -> None:
        self.capacity = batch_size * len(settings.base_urls)
        self._model = model
        self._settings = settings
        self._key = read_key(settings.api_key_variable)
        self._attempts = Attempts(model, settings, self._key)
        self._replicas = Replicas(settings.base_urls, batch_size, settings.patience)
        self._clock = SharedClock()
        self._running = 0
        self._num_open = 0
        self._jitter = random.Random()
        self._waiting = PrefixQueue()
        self._num_waiting = asyncio.Semaphore(0)
        self._results: queue.SimpleQueue[Completion | BaseException] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._work = asyncio.run_coroutine_threadsafe(self._run_workers(), self._loop)
        self._work.add_done_callback(self._hand_over_error)

    def add(self, requests: pl.DataFrame) -> None:
        fresh = list(request_rows(requests))
        self._num_open += len(fresh)
        self._loop.call_soon_threadsafe(self._enqueue, fresh)

    def poll(self) -> pl.DataFrame:
        finished: list[Completion] = []
        while self._num_open > len(finished):
            if finished and self._results.empty():
                break
            result = self._results.get()
            if isinstance(result, BaseException):
                # Requests that finished before are returned first; the next poll raises the error.
                self._results.put(result)
                if not finished:
                    raise result
                break
            finished.append(result)
        self._num_open -= len(finished)
        return completion_block(finished)

    def close(self) -> None:
        self._num_open = 0
        asyncio.run_coroutine_threadsafe(self._end_workers(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _enqueue(self, requests: list[Request]) -> None:
        for request in requests:
            self._waiting.put(request, self._replicas.urls)
            self._num_waiting.release()

    def _hand_over_error(self, work: "Future[None]") -> None:
        if not work.cancelled():
            error = work.exception()
            assert error is not None, "workers end with an error only"
            self._results.put(error)

    async def _run_workers(self) -> None:
        """Run as many requests as the servers have room for, until one ends the run."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # A body that comes unpacked can be limited as it comes.
        headers["Accept-Encoding"] = "identity"
        async with _open_client(headers) as http:
            workers = [asyncio.create_task(self._run_worker(http)) for _ in range(self.capacity)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.wait(workers)

    async def _end_workers(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run_worker(self, http: httpx.AsyncClient) -> None:
        while True:
            await self._num_waiting.acquire()
            replica = await self._free_replica(self._waiting.waits_for)
            request = self._waiting.take(replica.url)
            self._results.put(await self._complete(http, replica, request))

    async def _complete(
        self, http: httpx.AsyncClient, replica: Replica, request: Request
    ) -> Completion:
        """Try until the request is completed or refused, or fails while others are answered.

        The first attempt is at ``replica``; a later one is at another server if one has room.
        """
        seconds, delay, num_own, num_answered = 0.0, FIRST_DELAY, 0, 0
        while True:
            started = self._clock.tick(self._running)
            self._running += 1
            try:
                outcome = await self._attempt(http, replica, request)
            finally:
                seconds += self._clock.tick(self._running) - started
                self._running -= 1
                self._replicas.release(replica)
            if isinstance(outcome, Completion):
                self._replicas.answered(replica)
                return outcome._replace(seconds=seconds)
            self._note(replica, outcome)
            is_faulty = outcome.kind == "faulty"
            if is_faulty and (num := self._replicas.num_failures()) >= MAX_FAILURES:
                raise self._wrong_server(replica, f"failed {num} times, last: {outcome.reason}")
            if outcome.may_be_own:
                num_answered = num_answered if num_own else self._replicas.num_answered
                num_own += 1
                if num_own >= (MAX_ERRORS if is_faulty else MAX_ATTEMPTS):
                    reason = f"failed {num_own} times, last: {outcome.reason}"
                    if self._replicas.num_answered > num_answered:
                        return refusal(request, reason)
                    if is_faulty:
                        raise self._wrong_server(replica, reason)
            await asyncio.sleep(delay * self._jitter.uniform(0.5, 1.0))
            delay = min(2 * delay, LONGEST_DELAY)
            replica = await self._free_replica(partial(operator.ne, replica.url))

    async def _free_replica(self, prefers: Callable[[str], bool]) -> Replica:
        while (replica := self._replicas.take(self._loop.time(), prefers)) is None:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        return replica

    async def _attempt(
        self, http: httpx.AsyncClient, replica: Replica, request: Request
    ) -> Completion | Trouble:
        try:
            return await self._attempts.attempt(http, replica, request)
        except ValueError as error:
            raise self._wrong_server(replica, str(error)) from error

    def _wrong_server(self, replica: Replica, reason: str) -> ValueError:
        variable, state = self._settings.api_key_variable, "set" if self._key else "not set"
        return ValueError(
            f"{replica.url}: {reason}: correct engine.openai in the profile "
            f"(the variable of the key, {variable}, is {state})"
        )

    def _note(self, replica: Replica, trouble: Trouble) -> None:
        now = self._loop.time()
        if trouble.kind == "absent":
            self._replicas.remove(replica, trouble.reason)
            return
        if trouble.kind in {"down", "faulty"}:
            self._replicas.failed(replica, now, trouble.reason)
        self._replicas.quiet(replica, now, trouble.retry_after, trouble.reason)


def _open_client(headers: dict[str, str]) -> httpx.AsyncClient:
    """Open the client; an attempt is limited as a whole, so that only connecting has a limit here.

    Raises:
        ValueError: the environment names proxies or certificates that cannot be used.
    """
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    try:
        return httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits)
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise ValueError(
            f"the HTTP client cannot start ({type(error).__name__}): correct the variables "
            "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        ) from error


def read_key(variable: str) -> str:
    """Return the key in an environment variable, without surrounding white space; "" if unset.

    Raises:
        ValueError: the key holds characters that a header cannot; the message does not show it.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError(
            f"{variable}: the key holds characters that no key has: set it to the key alone"
        )
    return key
