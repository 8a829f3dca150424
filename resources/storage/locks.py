"""Lock files, so that two processes do not write one thing at the same time.

The kernel drops a lock when its process ends, however that happens. A lock file that a killed
process left behind is therefore free, and the next holder removes it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resources.storage.atomic import is_at, write_errors


@contextmanager
def file_lock(path: Path, *, refusal: str | None = None) -> Iterator[None]:
    """Lock ``path`` during the body; wait while another process has it locked.

    With ``refusal`` there is no waiting. The file is made for the lock and removed with it.

    Raises:
        ValueError: another process has the lock; the message is the path and ``refusal``.
        WriteError: the folder cannot be written; the message says what to do.
    """
    while True:
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError as error:
            os.close(file)
            raise ValueError(f"{path}: {refusal}") from error
        if is_at(file, path):
            break
        # The holder before us has removed the file: its lock keeps nobody out any more.
        os.close(file)
    try:
        yield
    finally:
        # In a folder such as /tmp, only its owner may remove it.
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
        # Unlocked by name: a process that was forked meanwhile has the file open, too.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _open(path: Path) -> int:
    """Open a lock file, and create it if it is missing. That of another user is only read."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY)
        raise
