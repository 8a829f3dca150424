"""Start the parts of a cluster on this machine: PostgreSQL, and Dagster's daemon on it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass
class Postgres:
    """A server of PostgreSQL with a database for Dagster."""

    programs: Path
    data: str
    """The folder of its files."""
    log: Path
    port: int
    host: str
    """The address at which it listens."""
    as_user: Sequence[str] = ()
    """What begins the command line: PostgreSQL refuses to run as root."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The variables that deploy/ reads."""
        return {
            "DAGSTER_PG_HOST": self.host,
            "DAGSTER_PG_PORT": str(self.port),
            "DAGSTER_PG_DB": "dagster",
            "DAGSTER_PG_USER": "dagster",
            "DAGSTER_PG_PASSWORD": "",
        }

    @property
    def _client(self) -> list[str]:
        return ["-h", self.host, "-p", str(self.port), "-U", "dagster"]

    def create(self) -> None:
        """Create the files of the server, start it and create the database."""
        options = ["--auth=trust", "--username=dagster", "--no-sync", "--encoding=UTF8"]
        command = [*self.as_user, str(self.programs / "initdb"), "-D", self.data, *options]
        with self.log.open("a") as file:
            subprocess.run(command, check=True, stdout=file, stderr=file)
        with Path(self.data, "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")
        self.start()
        subprocess.run([self.programs / "createdb", *self._client, "dagster"], check=True)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        folders = f"unix_socket_directories={self.data}"
        settings = ["fsync=off", f"listen_addresses={self.host}", folders]
        flags = [part for setting in settings for part in ("-c", setting)]
        program = str(self.programs / "postgres")
        command = [*self.as_user, program, "-D", self.data, "-p", str(self.port), *flags]
        with self.log.open("a") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        deadline = time.monotonic() + SECONDS_TO_START
        ready = [str(self.programs / "pg_isready"), "-q", *self._client]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server. SIGINT is its fast shutdown, which does not wait for clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()


@contextmanager
def postgres(folder: Path, host: str = "127.0.0.1") -> Iterator[Postgres]:
    """Run a PostgreSQL with a database for Dagster; root runs it as the user ``nobody``.

    It listens at ``host``, an address of this machine, and its log is in the folder.

    Raises:
        ValueError: PostgreSQL is not installed.
    """
    programs, log = postgres_folder(), folder / "postgres.log"
    # Not in the folder, which may be closed to other users.
    with TemporaryDirectory(prefix="postgres-") as data:
        server = Postgres(programs, data, log, free_port(), host)
        if os.getuid() == 0:
            shutil.chown(data, "nobody", "nogroup")
            server.as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        try:
            server.create()
            yield server
        finally:
            server.stop()


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
