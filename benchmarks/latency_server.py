"""A server of ``/v1/completions`` that answers each request after a fixed time."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


@dataclass
class LatencyServer:
    """The server and what it was asked. Times are seconds since 1970."""

    seconds: float
    url: str = ""
    asked: list[tuple[float, str, int]] = field(default_factory=list)
    """When each request came, with its prompt and its seed."""
    answered: list[tuple[float, str, int]] = field(default_factory=list)
    """The same of each answer that was sent."""
    most_answers: int | None = None
    """Further requests wait while so many answers were sent."""

    async def complete(self, request: Request) -> JSONResponse:
        """Answer a request with a solution that its seed decides."""
        body = await request.json()
        prompt, seed = body["prompt"], body["seed"]
        self.asked.append((time.time(), prompt, seed))
        await asyncio.sleep(self.seconds)
        while self.most_answers is not None and len(self.answered) >= self.most_answers:
            await asyncio.sleep(0.05)
        self.answered.append((time.time(), prompt, seed))
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 20}
        choice = {"text": solution(seed), "finish_reason": "stop"}
        return JSONResponse({"choices": [choice], "usage": usage})


def solution(seed: int) -> str:
    """Return a solution of three steps, whose numbers derive from the seed."""
    first, second = random.Random(seed).choices(range(2, 9), k=2)
    return (
        f"There are {first} boxes.\nEach holds {second}: {first} * {second} = {first * second}.\n"
        f"The answer is: {first * second}"
    )


@contextmanager
def serving(seconds: float, host: str = "127.0.0.1") -> Iterator[LatencyServer]:
    """Run a server on a free port of an address of this machine; it ends with the body."""
    server = LatencyServer(seconds)
    app = Starlette(routes=[Route("/v1/completions", server.complete, methods=["POST"])])
    runner = uvicorn.Server(
        uvicorn.Config(app, host=host, port=0, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    [socket, *_] = runner.servers[0].sockets
    server.url = f"http://{host}:{socket.getsockname()[1]}/v1"
    try:
        yield server
    finally:
        runner.should_exit = True
        runner.force_exit = True
        thread.join()
