"""Write files and folders whole or not at all."""

import errno
import fcntl
import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

WAYS_OUT = {
    errno.ENOSPC: "free space on that disk, or choose another folder",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EDQUOT: "free space of your quota, or choose another folder",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EACCES: "choose a folder that you may write, or change its permissions",
    errno.EPERM: "choose a folder that you may write, or change its permissions",
    errno.ENOTDIR: "a file is where a folder should be: remove it, or choose another folder",
    errno.EEXIST: "a file is where a folder should be: remove it, or choose another folder",
    errno.EISDIR: "a folder is where a file should be: remove it, or choose another folder",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
    errno.ELOOP: "a link leads to itself: remove it, or choose another folder",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "the disk fails: choose a folder on another disk",
}
"""What a user can do if a file cannot be written, by the operating system's error."""


class WriteError(ValueError):
    """A file cannot be written, for a reason that the user can correct."""


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Report errors of the disk as a :class:`WriteError` that names the file and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno not in WAYS_OUT or not _may_be_written(error.filename, path):
            raise
        # A temporary name says nothing; a folder above the file may be what is wrong.
        is_above = error.filename and Path(error.filename) in path.parents
        where = error.filename if is_above else path
        raise WriteError(
            f"{where}: cannot be written: {error.strerror}: {WAYS_OUT[error.errno]}"
        ) from error


def _may_be_written(filename: object, path: Path) -> bool:
    """Return whether the file of an error may be one that is written for ``path``.

    Other files are only read meanwhile. Those that are written are hidden ones beside ``path``,
    or above or below it. A full disk names no file.
    """
    if not isinstance(filename, str):
        return True
    file, path = Path(filename).absolute(), path.absolute()
    if file in path.parents or path in (file, *file.parents):
        return True
    is_beside = path.parent in file.parents
    return is_beside and file.relative_to(path.parent).parts[0].startswith(".")


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` once the body has succeeded.

    If the body fails, the old file stays. The new one is on the disk before it replaces the old.

    Raises:
        WriteError: the disk is full, read-only or fails; the message says what to do.
    """
    with write_errors(path), _scratch(path) as new:
        with new.open("wb") as file:
            yield file
        publish(new, path)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Create a temporary folder that replaces ``folder`` once the body has succeeded.

    If the body fails, the old folder stays. The new one is on the disk before it replaces the old.

    Raises:
        WriteError: the disk is full, read-only or fails; the message says what to do.
    """
    with write_errors(folder), _scratch(folder) as new:
        new.mkdir()
        yield new
        sync_folder(new)
        # If anything happens before the second rename, the old folder is put back.
        if folder.is_dir():
            folder.rename(new.with_name(_OLD))
        new.rename(folder)
        sync(folder.parent)


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Name a temporary file that a library writes by itself.

    The body calls :func:`publish` once the file is whole. Otherwise it is removed.

    Raises:
        WriteError: the disk is full, read-only or fails; the message says what to do.
    """
    with write_errors(path), _scratch(path) as new:
        yield new


def publish(new: Path, path: Path) -> None:
    """Replace a file by a new one, which is on the disk before it does."""
    sync(new)
    new.replace(path)
    sync(path.parent)


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


_NEW, _OLD, _LOCK = "new", "old", "lock"
"""The content of a scratch folder: what is written, what it replaces, and the writer's lock."""


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Create a folder beside ``path`` for what replaces it, and yield the new path in it.

    The kernel drops the lock in the folder with its process, however that ends. So the next
    writer of ``path`` knows the folders of killed writers, and removes them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Exactly our names: `.a.b.<id>.tmp` is of `a.b`, not of `a`.
    for folder in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 32}.tmp"):
        _sweep(folder, path)
    folder = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with _locked(folder):
        try:
            yield folder / _NEW
        finally:
            _discard(folder, path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create a folder, and hold the lock in it."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            lock = (folder / _LOCK).open("wb")
        except FileNotFoundError:
            # Another writer has swept the empty folder.
            continue
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Before it was locked, another writer may have swept it.
            if is_at(lock.fileno(), folder / _LOCK):
                yield
                return


def _sweep(folder: Path, path: Path) -> None:
    """Remove the scratch folder of a killed writer, and put back what it had just moved away."""
    try:
        if folder.is_file():
            # Earlier versions of the pipeline wrote plain files.
            folder.unlink(missing_ok=True)
            return
        # The lock is created if its writer was killed before it did so.
        with (folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(lock.fileno(), folder / _LOCK):
                _discard(folder, path)
    except (BlockingIOError, FileNotFoundError, PermissionError):
        # Its writer lives, another one has just removed it, or it belongs to another user.
        return


def _discard(folder: Path, path: Path) -> None:
    """Remove a scratch folder that is locked, and put back what was moved away for nothing."""
    if os.path.lexists(folder / _OLD) and not os.path.lexists(path):
        (folder / _OLD).rename(path)
    shutil.rmtree(folder, ignore_errors=True)


def is_at(file: int, path: Path) -> bool:
    """Return whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Wait until a folder and all that it holds would survive a power cut."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Wait until a file or folder would survive a power cut.

    Some network file systems have no such wait for folders.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)
