"""Name the files of a folder by their path in it, and identify their content."""

from collections.abc import Mapping
from pathlib import Path

import xxhash

_CHUNK_BYTES = 2**20


def content_of(files: Mapping[str, Path]) -> str:
    """Return a hash of the names and bytes of files: 32 hexadecimal digits."""
    hashed = xxhash.xxh3_128()
    for name, path in sorted(files.items()):
        hashed.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                hashed.update(chunk)
    return hashed.hexdigest()


def files_below(path: Path) -> dict[str, Path]:
    """Return the files of a folder by their path in it; a file is that of its own name."""
    if path.is_file():
        return {path.name: path}
    paths = (each for each in sorted(path.rglob("*")) if each.is_file())
    return {each.relative_to(path).as_posix(): each for each in paths}


def is_below(name: str, folders: set[str]) -> bool:
    """Return whether a file is below one of the folders; all are paths with slashes."""
    parts = name.split("/")
    return any("/".join(parts[:end]) in folders for end in range(1, len(parts)))
