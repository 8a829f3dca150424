"""``shepherd ui``: the Dagster UI over a home folder."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.dagster_home import prepare_dagster_home, set_environment
from cli.options import (
    DEFAULT_HOME,
    DEFAULT_PROFILE,
    DagsterHomeOption,
    HomeOption,
    ProfileOption,
    home_at,
)

WORKSPACE = Path(__file__).resolve().parents[2] / "workspace.yaml"


def ui(
    profile: ProfileOption = DEFAULT_PROFILE,
    home: HomeOption = DEFAULT_HOME,
    dagster_home: DagsterHomeOption = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Port on which to serve the UI.")
    ] = 3000,
) -> None:
    """Serve the Dagster UI at http://localhost:PORT until Ctrl-C."""
    from resources.profiles import load_settings

    settings = load_settings(profile)
    prepare_dagster_home(set_environment(profile, home_at(home), dagster_home))
    check_port(port)
    from cli.runs_database import opened_instance

    with opened_instance(home_at(home), settings.runs):
        pass  # Opening it makes the databases and marks lost runs as failed.
    # Dagster starts its servers with the `dagster` of PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # `dagster dev` warns that `dg dev` supersedes it.
    os.environ["PYTHONWARNINGS"] = "ignore::FutureWarning"
    arguments = ["dev", "--workspace", str(WORKSPACE), "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "dagster", *arguments])


def check_port(port: int) -> None:
    """Check that nothing serves on a port of this machine.

    Raises:
        ValueError: the port is taken or reserved: choose another with ``--port``.
    """
    with socket.socket() as probe:
        # As the server does: a connection that has just ended does not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(
                f"--port {port}: {error.strerror}: another program serves there, perhaps an "
                "earlier `shepherd ui`: end it, or choose another port"
            ) from error
