"""Say whether a file is old enough that another time stamp shows its next change."""

import time

NANOSECONDS_TO_SETTLE = 2_000_000_000
"""Age from which a file is not read again: within one tick of the file system's clock, a file can
change without a new time stamp."""


def is_settled(time_stamp: int) -> bool:
    """Return whether a file's last change, in nanoseconds since 1970, is long enough ago."""
    return time_stamp < time.time_ns() - NANOSECONDS_TO_SETTLE
