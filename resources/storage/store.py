"""Keep objects under keys: in a bucket, or in a folder with the same promises.

A key is a path with slashes. An object is written whole or not at all, and whoever reads after a
write reads it. :meth:`Store.swap` is the only way to replace what another worker may replace too.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from resources.storage.atomic import replacing_file
from resources.storage.locks import file_lock

SCHEMES = ("s3://", "gs://")
"""How the address of a bucket begins."""

_OURS = re.compile(r"\..+\.([0-9a-f]{32}\.tmp|lock)")
"""Names of what is being written beside an object of a folder, and of its lock."""

NUM_TRIES = 3
"""How often a conditional write is tried whose answer never came."""

SECONDS_OF_TRIES = 60.0
"""Seconds after which a store is down, and no single answer was lost."""


class StoreError(ValueError):
    """A store refuses a request; the message says why, and what to do."""


class OutOfReachError(StoreError):
    """A store gives no answer: what was asked may have been done."""


class Blob(NamedTuple):
    """The content of an object."""

    data: bytes
    tag: str
    """Identifies the content: objects of equal bytes may have equal tags."""


class Entry(NamedTuple):
    """An object in a listing."""

    key: str
    size: int
    """In bytes."""
    modified: datetime
    """By the clock of the store."""
    tag: str
    """Changes with the content."""


class Store(ABC):
    """Objects by key. All methods raise :class:`StoreError`."""

    url: str
    """Where the objects are, for messages."""

    @abstractmethod
    def put(self, key: str, data: bytes | Path) -> None:
        """Write an object, or replace it; a path is the file with the content."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Write an object unless the key has another; return whether the key has ``data`` now."""
        return self.swap(key, data, None)

    def swap(self, key: str, data: bytes, tag: str | None) -> bool:
        """Replace the object of a tag, or create it (None); return whether the key has ``data``.

        An answer that is lost after the write does no harm: the write is tried again, and finds
        ``data`` there. So racing workers must write different bytes, and no bytes may return to a
        key: put a number or name in them that is used once.
        """
        started, num_left = time.monotonic(), NUM_TRIES
        while True:
            try:
                is_written = self._write_if(key, data, tag)
                break
            except OutOfReachError:
                num_left -= 1
                if not num_left or time.monotonic() - started > SECONDS_OF_TRIES:
                    raise
        return is_written or ((blob := self.get(key)) is not None and blob.data == data)

    @abstractmethod
    def _write_if(self, key: str, data: bytes, tag: str | None) -> bool:
        """Write if the key has an object of the tag, or none if that is None."""

    @abstractmethod
    def get(self, key: str) -> Blob | None:
        """Return a small object; None if the key has none."""

    @abstractmethod
    def head(self, key: str) -> Entry | None:
        """Return what a listing says of an object; None if the key has none."""

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Write the content of an object of any size to a file; the key must have one."""

    @abstractmethod
    def list(self, folder: str) -> list[Entry]:
        """Return the objects whose keys begin with ``<folder>/``, sorted; all if it is empty."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; keys without an object are passed over."""


class FolderStore(Store):
    """Objects as files of a folder, with locks of its file system."""

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, str(root)

    def put(self, key: str, data: bytes | Path) -> None:
        """Replace the file of a key."""
        with replacing_file(self.root / key) as file:
            if isinstance(data, bytes):
                file.write(data)
                return
            with data.open("rb") as source:
                while chunk := source.read(2**20):
                    file.write(chunk)

    def _write_if(self, key: str, data: bytes, tag: str | None) -> bool:
        path = self.root / key
        with file_lock(path.with_name(f".{path.name}.lock")):
            blob = self.get(key)
            if (blob and blob.tag) != tag:
                return False
            self.put(key, data)
            return True

    def get(self, key: str) -> Blob | None:
        """Return the content of a file and its hash."""
        try:
            data = (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return Blob(data, blake2b(data, digest_size=16).hexdigest())

    def head(self, key: str) -> Entry | None:
        """Return size, time and hash of a file."""
        blob = self.get(key)
        if blob is None:
            return None
        modified = datetime.fromtimestamp((self.root / key).stat().st_mtime, UTC)
        return Entry(key, len(blob.data), modified, blob.tag)

    def download(self, key: str, path: Path) -> None:
        """Copy a file."""
        if not (self.root / key).is_file():
            raise StoreError(f"{self.url}/{key}: no such object")
        FolderStore(path.parent).put(path.name, self.root / key)

    def list(self, folder: str) -> list[Entry]:
        """Return the files below a folder, without those being written, and locks."""
        keys = (path.relative_to(self.root) for path in sorted((self.root / folder).rglob("*")))
        ours = (key.as_posix() for key in keys if not any(map(_OURS.fullmatch, key.parts)))
        return [entry for entry in map(self.head, ours) if entry]

    def delete(self, keys: Iterable[str]) -> None:
        """Unlink files."""
        for key in keys:
            (self.root / key).unlink(missing_ok=True)


def is_address(text: str) -> bool:
    """Return whether a text is the address of a bucket, and no path."""
    return text.startswith(SCHEMES)


def open_store(url: str) -> Store:
    """Return the store at ``s3://bucket/prefix``, ``gs://bucket/prefix`` or a folder.

    Raises:
        StoreError: the address is wrong, or the extra ``scale`` is not installed.
    """
    if not is_address(url):
        return FolderStore(Path(url))
    try:
        from resources.storage.object_store import ObjectStore
    except ImportError as error:
        raise StoreError(
            f"{url}: object stores need the extra scale: pip install 'shepherd-pipeline[scale]' "
            f"({error})"
        ) from error
    return ObjectStore(url)
