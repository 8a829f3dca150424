"""Folders that are written whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of ``folder`` once the body has succeeded.

    If it fails, the folder of before stays.
    """
    written, retired = (
        folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.{state}") for state in ("new", "old")
    )
    written.mkdir(parents=True)
    try:
        yield written
        if folder.is_dir():
            folder.rename(retired)
        written.rename(folder)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    shutil.rmtree(retired, ignore_errors=True)
