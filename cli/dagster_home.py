"""Prepare the folder and the environment that Dagster reads."""

import os
import sys
from pathlib import Path

from resources.storage.atomic import replacing_file, write_errors
from resources.storage.home import Home
from resources.user_paths import expanded, folder_at

TEMPLATE = Path(__file__).resolve().parent.parent / "resources" / "dagster_home" / "dagster.yaml"


def set_environment(profile: str, home: Home, dagster_home: Path | None) -> Path:
    """Set the variables that the code location and Dagster read; return the path of DAGSTER_HOME.

    Dagster refuses a relative ``DAGSTER_HOME``, and its servers may have another working
    directory, so paths are made absolute.
    """
    dagster_root = folder_at(dagster_home or home.dagster, "--dagster-home")
    if profile.endswith((".yaml", ".yml")):
        profile = str(expanded(profile).absolute())
    os.environ.update(
        SHEPHERD_PROFILE=profile, SHEPHERD_HOME=home.location, DAGSTER_HOME=str(dagster_root)
    )
    return dagster_root


def prepare_dagster_home(folder: Path) -> None:
    """Create the folder with the project's dagster.yaml, unless it has one already.

    Raises:
        ValueError: the folder cannot be written; the message says what to do.
    """
    try:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / TEMPLATE.name).exists():
                with replacing_file(folder / TEMPLATE.name) as file:
                    file.write(TEMPLATE.read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"{folder}: no folder can be made there: choose another one") from error


def silence_exit() -> None:
    """Discard what native code prints to stderr after Python has ended.

    Objects that Dagster and torch keep alive hold constants of DuckDB's module, and its binding
    reports them as leaks.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
