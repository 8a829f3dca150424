"""The options that several subcommands share. A flag wins over its environment variable."""

from pathlib import Path
from typing import Annotated

import typer

from resources.storage.home import Home
from resources.storage.store import is_address
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
    str,
    typer.Option(
        "--home",
        envvar="SHEPHERD_HOME",
        metavar="DIR",
        help="Home: datasets, checkpoints, warehouse and report are written under it. A folder, "
        "or s3://BUCKET/PREFIX.",
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
    str,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder to write; one that the same command wrote is replaced.",
    ),
]

DEFAULT_PROFILE = "demo"
DEFAULT_HOME = "data"


def home_at(location: str | Path) -> Home:
    """Return the home at a path, which may be relative or begin with ``~``, or at an address.

    Raises:
        ValueError: the path is that of a file, or the system takes no such path; or the address
            is wrong, or the store refuses to list it.
    """
    if is_address(str(location)):
        return Home.at(str(location))
    return Home(folder_at(location, "--home"))


def folder_to_write(out: str) -> Path:
    """Return the absolute path of the folder of ``--out``.

    Raises:
        ValueError: it is an address: name a folder of this machine.
    """
    if is_address(out):
        raise ValueError(f"--out {out}: is no folder: name one of this machine, and copy it there")
    return Path(out).absolute()
