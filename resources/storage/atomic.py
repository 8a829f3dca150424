"""Write files and folders whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from resources.storage.locks import file_lock


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` once the body has succeeded.

    If the body fails, the old file stays. The new one is on the disk before it replaces the old.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Create a temporary folder that replaces ``folder`` once the body has succeeded.

    If the body fails, the old folder stays. Another process that replaces the folder waits. What a
    killed process left beside it is removed, and a folder that it had moved away comes back.
    """
    written, retired, lock = (
        folder.with_name(f".{folder.name}.{state}") for state in ("new", "old", "lock")
    )
    with file_lock(lock):
        if retired.is_dir() and not folder.exists():
            retired.rename(folder)
        for left in (written, retired):
            shutil.rmtree(left, ignore_errors=True)
        written.mkdir()
        try:
            yield written
            if folder.is_dir():
                folder.rename(retired)
            written.rename(folder)
        finally:
            shutil.rmtree(written, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def refuse_other_files(folder: Path, names: set[str]) -> None:
    """Check that replacing ``folder`` removes no files but those that we name so.

    Raises:
        ValueError: it holds other files: name a new folder.
    """
    existing = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    if existing - names or folder.is_file():
        raise ValueError(
            f"{folder}: would be replaced, and holds something else: name a new folder"
        )
