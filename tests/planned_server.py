"""Small real servers of ``/v1/completions`` with planned faults, and an engine that draws there."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from blocks import add, drain

from resources.engines.openai import OpenAIEngine
from shepherd.requests import Completion, Request
from shepherd.settings import OpenAISettings

KEY = "sk-very-secret"
HANGS_S = 1_800
"""Seconds after which a server counts as hanging, on the busiest machine."""
Fault = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes] | None]
"""Takes a request's body; returns status, headers and body to answer with, null to go on."""


def no_fault(body: dict[str, Any]) -> None:
    return None


class Server:
    """A server of ``/v1/completions``; ``asked`` and ``paths`` say what came, in order."""

    def __init__(self, fault: Fault = no_fault, seconds: float = 0.0, port: int = 0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.most_at_once = 0
        self.byte_seconds = 0.0
        """Seconds after each byte of a body."""
        at_once, lock, server = 0, threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                nonlocal at_once
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    at_once += 1
                    server.most_at_once = max(server.most_at_once, at_once)
                    server.asked.append(body)
                    server.headers.append(dict(self.headers))
                    server.paths.append(self.path)
                answer = fault(body) or (200, {}, json.dumps(completion(body)).encode())
                time.sleep(seconds)
                with lock:
                    at_once -= 1
                status, headers, content = answer
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    self._send(content)

            def _send(self, content: bytes) -> None:
                """Send a body, a byte at a time if the server trickles."""
                pieces = content if server.byte_seconds else [content]
                for piece in pieces:
                    self.wfile.write(bytes([piece]) if isinstance(piece, int) else piece)
                    time.sleep(server.byte_seconds)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def completion(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "choices": [{"text": f" {body['prompt']} {body['seed']}", "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }


def settings(*servers: Server, **fields: Any) -> OpenAISettings:
    urls = tuple(server.url for server in servers)
    return OpenAISettings(
        **{"base_urls": urls, "api_key_variable": "COMPLETER_KEY", "patience": 20.0, **fields}
    )


def requests(count: int, prompt: str = "p") -> list[Request]:
    return [Request(f"r{k}", prompt, seed=k, temperature=0.7, max_tokens=5) for k in range(count)]


def draw(asked: list[Request], *servers: Server, **fields: Any) -> dict[str, Completion]:
    with closing(OpenAIEngine("owner/model", settings(*servers, **fields), batch_size=4)) as engine:
        add(engine, asked)
        return drain(engine)


def failing_first(count: int, status: int, headers: dict[str, str] | None = None) -> Fault:
    """Return the fault of the first ``count`` tries of each request."""
    tries: Counter[int] = Counter()

    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        tries[body["seed"]] += 1
        if tries[body["seed"]] <= count:
            return status, headers or {}, b"try later"
        return None

    return fault
