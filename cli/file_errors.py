"""Recognize errors of the file system in what libraries report, and say what a user can do."""

import errno
import os
import re

from resources.storage.atomic import WAYS_OUT

OS_ERROR = re.compile(r"\[Errno (\d+)\] ([^:\n]+)(?:: '?([^'\n]+))?")
"""The number, the words and the path of an OSError."""

WORDS = {os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)}
"""The words by which libraries with exceptions of their own report these errors."""


def file_error(message: str) -> str | None:
    """Return one line for the message of an error that the file system caused.

    None if it is another error, which may be a fault of ours.
    """
    match = OS_ERROR.search(message)
    if match and int(match[1]) in WAYS_OUT:
        where = f"{match[3]}: " if match[3] else ""
        return f"{where}{match[2]}: {WAYS_OUT[int(match[1])]}"
    for words, number in WORDS.items():
        if words in message:
            return f"{words}: {WAYS_OUT[number]}"
    return None
