"""Keep objects in a bucket, by obstore: ``s3://`` with any server of that protocol, ``gs://``.

Credentials and endpoint come from the environment, as the AWS and Google libraries read them.
``gs://`` is not tested here.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import from_url

from resources.storage.atomic import replacing_file
from resources.storage.store import Blob, Entry, OutOfReachError, Store, StoreError

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode

PATIENCE = timedelta(minutes=2)
"""How long a request is tried again that a server fails (5xx) or drops."""

PART_BYTES = 2**25
"""Bytes of one request of a download: each must end within obstore's 30 seconds."""

LEAST_PART_BYTES, MOST_PARTS = 5 * 2**20, 9_000
"""Of an upload: S3 takes parts of 5 MiB and more, and 10,000 of them."""

MISSING = (FileNotFoundError, NotFoundError)

REFUSALS = {
    "NoSuchBucket": "there is no such bucket: create it, or correct the address",
    "InvalidAccessKeyId": "the store does not know this access key: correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong: correct AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "the credentials do not allow this: let them read and write this prefix",
    "169.254.169.254": "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "403 Forbidden": "the credentials do not allow this: let them read and write this prefix",
    "401 Unauthorized": "the credentials are not accepted: correct them",
    "507 Insufficient": "the store is full: free space in it",
}
"""What a user can do, by a word of the error."""


class ObjectStore(Store):
    """Objects of one prefix of a bucket."""

    def __init__(self, url: str, patience: timedelta = PATIENCE) -> None:
        self.url = url.rstrip("/")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
        try:
            self._store = from_url(
                self.url,
                client_options={"allow_http": endpoint.startswith("http://")},
                retry_config={"max_retries": 1_000, "retry_timeout": patience},
            )
        except (BaseError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"{url}: is no address of a bucket ({reason}): correct it") from error

    def put(self, key: str, data: bytes | Path) -> None:
        """Write an object; a large one in parts, which appear together."""
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        with self._explained(key):
            obstore.put(self._store, key, data, chunk_size=part_bytes(size))

    def _write_if(self, key: str, data: bytes, tag: str | None) -> bool:
        with self._explained(key):
            try:
                obstore.put(self._store, key, data, mode=self._mode(tag))
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def get(self, key: str) -> Blob | None:
        """Return an object and its ETag."""
        with self._explained(key):
            try:
                result = obstore.get(self._store, key)
                data = bytes(result.bytes())
            except MISSING as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
        tag = result.meta["version" if self._has_generations else "e_tag"]
        assert tag, "the store has no ETags"
        return Blob(data, tag)

    @property
    def _has_generations(self) -> bool:
        """Whether the store swaps by the number of a write, and not by the ETag."""
        return self.url.startswith("gs://")

    def _mode(self, tag: str | None) -> "PutMode":
        if tag is None:
            return "create"
        return {"version": tag} if self._has_generations else {"e_tag": tag}

    def head(self, key: str) -> Entry | None:
        """Return the size, time and ETag of an object."""
        with self._explained(key):
            try:
                return _entry_of(obstore.head(self._store, key))
            except MISSING as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def download(self, key: str, path: Path) -> None:
        """Read an object part by part."""
        with self._explained(key), replacing_file(path) as file:
            size = obstore.head(self._store, key)["size"]
            for start in range(0, size, PART_BYTES):
                end = min(size, start + PART_BYTES)
                file.write(obstore.get_range(self._store, key, start=start, end=end))

    def list(self, folder: str) -> list[Entry]:
        """Return the objects of a folder, sorted."""
        with self._explained(folder):
            batches = obstore.list(self._store, folder or None)
            return sorted(_entry_of(meta) for batch in batches for meta in batch)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, a thousand a request."""
        listed = list(keys)
        if listed:
            with self._explained(listed[0]):
                obstore.delete(self._store, listed)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Report what a store answers in one line.

        Raises:
            OutOfReachError: the store gave no answer, or failed again and again.
            StoreError: it refuses the request.
        """
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if not isinstance(error, BaseError) and error.errno is not None:
                # A file of this machine.
                raise
            text = str(error)
            where = f"{self.url}/{key}".rstrip("/")
            for word, refusal in REFUSALS.items():
                if word in text:
                    raise StoreError(f"{where}: {refusal}") from error
            reason = text.splitlines()[0][:300]
            if isinstance(error, FileNotFoundError):
                raise StoreError(f"{where}: no such object ({reason})") from error
            raise OutOfReachError(
                f"{where}: the store does not answer ({reason}): check its address "
                "(AWS_ENDPOINT_URL) and the network; finished work is saved, and the same command "
                "resumes"
            ) from error


def part_bytes(size: int) -> int:
    """Return the bytes of a part of an object of a size."""
    return max(LEAST_PART_BYTES, -(-size // MOST_PARTS))


def _entry_of(meta: "ObjectMeta") -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"] or "")
