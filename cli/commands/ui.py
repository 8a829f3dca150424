"""``shepherd ui``: the Dagster UI over a home folder."""

import os
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

    load_settings(profile)
    prepare_dagster_home(set_environment(profile, home_at(home), dagster_home))
    # Dagster starts its servers with the `dagster` of PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # `dagster dev` warns that `dg dev` supersedes it.
    os.environ["PYTHONWARNINGS"] = "ignore::FutureWarning"
    arguments = ["dev", "--workspace", str(WORKSPACE), "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "dagster", *arguments])
