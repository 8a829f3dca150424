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


def folder_at(path: str | Path, option: str) -> Path:
    """Return the absolute path of a folder that exists or can be made; ``option`` names it.

    Raises:
        ValueError: a file is in its place or above it, or the system takes no such path.
    """
    folder = expanded(path).absolute()
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        is_folder = nearest.is_dir()
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{option} {folder}: {reason}: name another folder") from error
    if not is_folder:
        raise ValueError(f"{option} {folder}: {nearest} is a file: name a folder")
    return folder
