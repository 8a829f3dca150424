"""The engine of OpenAI-compatible servers: one model, ``/completions`` of one or more replicas."""

import asyncio
import os
import queue
import random
import threading
from concurrent.futures import Future

import httpx
import polars as pl

from resources.engines.clock import SharedClock
from resources.engines.completions_api import Trouble, body, read, refusal
from resources.engines.replicas import Replica, Replicas
from shepherd.requests import Completion, Request, completion_block, request_rows
from shepherd.settings import OpenAISettings

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
SECONDS_BETWEEN_LOOKS = 0.1
"""How often a request that no server takes now looks again."""
CONNECT_TIMEOUT = 10.0
MAX_ATTEMPTS = 10
"""Failures of one request, while servers answer others, that are its own."""


class OpenAIEngine:
    """Draws completions from servers that serve ``model`` under that name.

    ``batch_size`` requests run on each server at once. What may succeed later is tried again
    until it does; what cannot is the request's recorded error.

    ``poll`` raises:
        ValueError: no server has answered for ``settings.patience`` seconds, none has the model,
            or one refuses the key. Run again, an unfinished request is tried anew.
    """

    def __init__(self, model: str, settings: OpenAISettings, *, batch_size: int) -> None:
        self.capacity = batch_size * len(settings.base_urls)
        self._model = model
        self._settings = settings
        self._key = read_key(settings.api_key_variable)
        self._replicas = Replicas(settings.base_urls, batch_size, settings.patience)
        self._clock = SharedClock()
        self._running = 0
        self._num_open = 0
        self._jitter = random.Random()
        self._waiting: asyncio.Queue[Request] = asyncio.Queue()
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
                # What finished before is handed out first; the error stays for the next poll.
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
            self._waiting.put_nowait(request)

    def _hand_over_error(self, work: "Future[None]") -> None:
        if not work.cancelled():
            error = work.exception()
            assert error is not None, "workers end with an error only"
            self._results.put(error)

    async def _run_workers(self) -> None:
        """Keep as many requests going as the servers have room for, until one ends the run."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx.Timeout(self._settings.request_timeout, connect=CONNECT_TIMEOUT)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits) as http:
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
            request = await self._waiting.get()
            self._results.put(await self._complete(http, request))

    async def _complete(self, http: httpx.AsyncClient, request: Request) -> Completion:
        """Try until the request is done or refused, or fails where others are answered."""
        seconds, delay, num_own, num_answered = 0.0, FIRST_DELAY, 0, 0
        while True:
            replica = await self._free_replica()
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
            if outcome.may_be_own:
                num_answered = num_answered if num_own else self._replicas.num_answered
                num_own += 1
                if num_own >= MAX_ATTEMPTS and self._replicas.num_answered > num_answered:
                    return refusal(request, f"failed {num_own} times, last: {outcome.reason}")
            await asyncio.sleep(delay * self._jitter.uniform(0.5, 1.0))
            delay = min(2 * delay, LONGEST_DELAY)

    async def _free_replica(self) -> Replica:
        while (replica := self._replicas.take(self._loop.time())) is None:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        return replica

    async def _attempt(
        self, http: httpx.AsyncClient, replica: Replica, request: Request
    ) -> Completion | Trouble:
        try:
            response = await http.post(
                f"{replica.url}/completions", json=body(self._model, request)
            )
        except httpx.TransportError as error:
            is_own = isinstance(error, httpx.ReadTimeout)
            reason = f"{type(error).__name__} {error}".strip()
            return Trouble("down", reason, may_be_own=is_own)
        try:
            return read(request, response, secret=self._key)
        except ValueError as error:
            variable = self._settings.api_key_variable
            state = "set" if self._key else "not set"
            raise ValueError(
                f"{replica.url}: {error}: correct engine.openai in the profile "
                f"(the variable of the key, {variable}, is {state})"
            ) from error

    def _note(self, replica: Replica, trouble: Trouble) -> None:
        now = self._loop.time()
        if trouble.kind == "absent":
            self._replicas.remove(replica, trouble.reason)
            return
        if trouble.kind == "down":
            self._replicas.failed(replica, now, trouble.reason)
        self._replicas.quiet(replica, now, trouble.retry_after, trouble.reason)


def read_key(variable: str) -> str:
    """Return the key in an environment variable, without the white space around it; "" if unset.

    Raises:
        ValueError: the key is not valid in an HTTP header: set the variable to the key alone. The
            message does not contain the key.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError(
            f"{variable}: the key holds characters that no key has: set it to the key alone"
        )
    return key
