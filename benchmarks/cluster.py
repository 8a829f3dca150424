"""Start the parts of a cluster on this machine: PostgreSQL, and Dagster's daemon on it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"

SECONDS_TO_START = 120.0
"""The longest time in which PostgreSQL starts, on a busy machine."""


def postgres_folder() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        ValueError: there is none.
    """
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    # Debian's packages do not put them on the path.
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise ValueError("PostgreSQL is not installed: apt-get install postgresql")


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Iterator[dict[str, str]]:
    """Run a PostgreSQL with a database for Dagster; yield the variables that deploy/ reads.

    Its log is in the folder. PostgreSQL refuses to run as root, which runs it as ``nobody``.

    Raises:
        ValueError: PostgreSQL is not installed.
    """
    programs, port, log = postgres_folder(), free_port(), folder / "postgres.log"
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    prefix = as_user if os.getuid() == 0 else []
    # Not in the folder, which may be closed to other users.
    with TemporaryDirectory(prefix="postgres-") as data, log.open("w") as output:
        if prefix:
            shutil.chown(data, "nobody", "nogroup")
        options = ["--auth=trust", "--username=dagster", "--no-sync", "--encoding=UTF8"]
        subprocess.run(
            [*prefix, programs / "initdb", "-D", data, *options],
            check=True,
            stdout=output,
            stderr=output,
        )
        settings = ["fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={data}"]
        flags = [part for setting in settings for part in ("-c", setting)]
        server = subprocess.Popen(
            [*prefix, programs / "postgres", "-D", data, "-p", str(port), *flags],
            stdout=output,
            stderr=output,
        )
        at = ["-h", "127.0.0.1", "-p", str(port), "-U", "dagster"]
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while subprocess.run([programs / "pg_isready", "-q", *at], check=False).returncode:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            subprocess.run([programs / "createdb", *at, "dagster"], check=True)
            yield {
                "DAGSTER_PG_HOST": "127.0.0.1",
                "DAGSTER_PG_PORT": str(port),
                "DAGSTER_PG_DB": "dagster",
                "DAGSTER_PG_USER": "dagster",
                "DAGSTER_PG_PASSWORD": "",
            }
        finally:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
            server.send_signal(signal.SIGINT)
            server.wait()


@contextmanager
def daemon(environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run Dagster's daemon, which starts the workers of this project's code location."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            # Its code server and the workers belong to its session.
            os.killpg(process.pid, signal.SIGKILL)
