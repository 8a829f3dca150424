"""Lock files, so that two processes do not write one thing at the same time.

The kernel drops a lock when its process ends, however that happens. A lock file that a killed
process left behind is therefore free, and the next holder removes it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, *, refusal: str | None = None) -> Iterator[None]:
    """Lock ``path`` during the body; wait while another process has it locked.

    With ``refusal`` there is no waiting. The file is made for the lock and removed with it.

    Raises:
        ValueError: another process has the lock; the message is the path and ``refusal``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError as error:
            os.close(file)
            raise ValueError(f"{path}: {refusal}") from error
        if _is_at(file, path):
            break
        # The holder before us has removed the file: its lock keeps nobody out any more.
        os.close(file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        # Unlocked by name: a process that was forked meanwhile has the file open, too.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Return whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
