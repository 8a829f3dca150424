"""The options that several subcommands share. A flag wins over its environment variable."""

from pathlib import Path
from typing import Annotated

import typer

from resources.storage.home import Home
from resources.user_paths import folder_at

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="SHEPHERD_PROFILE",
        metavar="NAME",
        help="Profile: a name in profiles/, or the path of a .yaml file.",
    ),
]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="SHEPHERD_HOME",
        metavar="DIR",
        help="Home folder: datasets, checkpoints, warehouse and report are written under it.",
    ),
]
DagsterHomeOption = Annotated[
    Path | None,
    typer.Option(
        "--dagster-home",
        envvar="DAGSTER_HOME",
        metavar="DIR",
        show_default="dagster/ in the home folder",
        help="Folder of Dagster's runs and events.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder to write; one that the same command wrote is replaced.",
    ),
]

DEFAULT_PROFILE = "demo"
DEFAULT_HOME = Path("data")


def home_at(path: Path) -> Home:
    """Return the home folder at a path, which may be relative or begin with ``~``.

    Raises:
        ValueError: the path is that of a file, or the system takes no such path.
    """
    return Home(folder_at(path, "--home"))
