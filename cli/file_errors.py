"""Say in one line what a user can do about a file system that refuses to write or read."""

import errno
import os
import re

ADVICE = {
    errno.ENOSPC: "free space on the disk",
    errno.EDQUOT: "free space: your quota is used up",
    errno.EROFS: "the file system is mounted read-only: name a folder on another one",
    errno.EACCES: "change the permissions, or name another folder",
    errno.EPERM: "change the permissions, or name another folder",
    errno.ENOTDIR: "a file is where a folder should be: move it aside",
    errno.EEXIST: "a file is where a folder should be: move it aside",
    errno.EISDIR: "a folder is where a file should be: move it aside",
    errno.ENAMETOOLONG: "name a folder with a shorter path",
    errno.ELOOP: "a link leads to itself: name another folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine: end other programs",
    errno.EIO: "the disk reports an error: check it",
}
"""What to do, by the number of an OSError."""

FULL = {os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)}
"""The words by which libraries that raise exceptions of their own report these errors."""

_OS_ERROR = re.compile(r"\[Errno (\d+)\] ([^:\n]+)(?:: ([^\n]+))?")


def advice(number: int | None) -> str:
    """Return what to do about an OSError of this number, after a colon; empty if not known."""
    return f": {ADVICE[number]}" if number in ADVICE else ""


def file_error(message: str) -> str | None:
    """Return one line for the message of an error that the file system caused.

    None if it is another error, which may be a fault of ours.
    """
    match = _OS_ERROR.search(message)
    if match and int(match[1]) in ADVICE:
        where = f"{match[3]}: " if match[3] else ""
        return f"{where}{match[2]}{advice(int(match[1]))}"
    for words, number in FULL.items():
        if words in message:
            return f"{words}{advice(number)}"
    return None
