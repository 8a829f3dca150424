"""What ``shepherd verify`` checks, and what it finds."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a file, and the way out."""

    path: Path
    problem: str
    is_note: bool = False
    """Whether nothing need be done."""

    def __str__(self) -> str:
        return f"{'note' if self.is_note else 'error'}: {self.path}: {self.problem}"


@dataclass(frozen=True)
class Item:
    """A file or folder to verify. ``num_bytes`` is what is read of it."""

    path: Path
    num_bytes: int
    check: Callable[[], Iterator[Finding]]

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong. A file that a run has removed meanwhile is passed over."""
        try:
            yield from self.check()
        except FileNotFoundError:
            return
        except OSError as error:
            yield unreadable(self.path, error)


def unreadable(path: Path, error: OSError) -> Finding:
    where = Path(os.fsdecode(error.filename)) if error.filename else path
    problem = f"cannot be read: {error.strerror}: correct its permissions, or copy it from a backup"
    return Finding(where, problem)
