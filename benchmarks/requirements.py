"""Find what a benchmark needs beside this project: data files, packages and a browser."""

import os
from importlib.util import find_spec
from pathlib import Path

from benchmarks.browser import NAMES, find_chromium


def shared_data() -> Path:
    """Return the folder of published data: ``SHEPHERD_SHARED_DATA``, else ``../shared/data``."""
    return Path(os.environ.get("SHEPHERD_SHARED_DATA") or "../shared/data")


def shared_file(*names: str) -> Path:
    """Return the path of a published data file, such as ``shared_file("gsm8k", "test.jsonl")``.

    Raises:
        ValueError: the file does not exist; set ``SHEPHERD_SHARED_DATA``.
    """
    path = shared_data().joinpath(*names)
    if not path.is_file():
        raise ValueError(
            f"{path.absolute()} does not exist: set SHEPHERD_SHARED_DATA to the folder that "
            f"holds {'/'.join(names)}"
        )
    return path


def require_package(name: str, install_command: str) -> None:
    """Check that a package can be imported.

    Raises:
        ValueError: it is not installed; run ``install_command``.
    """
    if find_spec(name) is None:
        raise ValueError(f"the package {name} is not installed: {install_command}")


def require_chromium() -> str:
    """Return the path of an installed Chromium or Chrome.

    Raises:
        ValueError: none is on PATH; install one.
    """
    path = find_chromium()
    if path is None:
        raise ValueError(
            f"no browser is installed: PATH holds none of {', '.join(NAMES)}: "
            "apt-get install chromium"
        )
    return path
