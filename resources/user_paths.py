"""Paths as users write them."""

import os
from pathlib import Path

from resources.storage.store import is_address, open_store
from shepherd.identity import content_id


def cache_folder() -> Path:
    """Return the folder for what is in a store and needed here: ``SHEPHERD_CACHE``."""
    return Path(os.environ.get("SHEPHERD_CACHE") or "~/.cache/shepherd").expanduser().absolute()


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in the place of ``~`` or ``~user``.

    What is at an address such as ``s3://bucket/file.jsonl`` is downloaded, unless it is here.

    Raises:
        ValueError: there is no such user, or nothing at the address.
    """
    if is_address(str(path)):
        return downloaded(str(path))
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}: write the whole path") from error


def downloaded(url: str) -> Path:
    """Return a copy of the file or folder at an address; another version has another path.

    Raises:
        ValueError: there is nothing, or the store refuses to say.
    """
    parent, _, name = url.rstrip("/").rpartition("/")
    store = open_store(parent)
    file = store.head(name)
    entries = [file] if file else store.list(name)
    if not entries:
        raise ValueError(f"{url}: no such file or folder in the store: correct the address")
    version = content_id(url, *(f"{each.key} {each.tag}" for each in entries))
    folder = cache_folder() / "imports" / version
    for each in entries:
        if not (folder / each.key).is_file():
            store.download(each.key, folder / each.key)
    return folder / name


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
