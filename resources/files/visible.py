"""List the files of a folder without those that operating systems put there."""

import os
from collections.abc import Iterator
from pathlib import Path


def visible_files(folder: Path, suffix: str) -> list[Path]:
    """Return the files of a folder and its subfolders whose names end in ``suffix``, in order.

    Names that begin with a dot (``.DS_Store``, ``._a.json``) and ``__MACOSX`` are passed over.

    Raises:
        OSError: a folder cannot be read.
    """
    return sorted(_walk(folder, suffix))


def _walk(folder: Path, suffix: str) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not _is_of_the_system(name)]
        for name in files:
            if name.endswith(suffix) and not _is_of_the_system(name):
                yield Path(parent, name)


def _is_of_the_system(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
