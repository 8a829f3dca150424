"""Paths as users write them."""

from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in the place of ``~`` or ``~user``.

    Raises:
        ValueError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}: write the whole path") from error
