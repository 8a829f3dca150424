"""Commit files to a store: written once under an attempt's name, then a pointer is swapped.

    attempts/<key>/<attempt>/<file>   the files of an attempt, which never change
    current/<key>.json                the pointer: which attempt readers read

A key is a path in the home, such as ``lake/steps/gsm8k/07.parquet`` or ``models/generator``. The
pointer holds the epoch of the lease under which it may be replaced (:mod:`.leases`).
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from resources.storage.atomic import replacing_file
from resources.storage.file_sets import is_below
from resources.storage.leases import Lease, LeaseLostError
from resources.storage.store import Store, StoreError

CURRENT = "current"
ATTEMPTS = "attempts"

NUM_REQUESTS = 16
"""Requests to a store at a time."""

AGE_UNTIL_COLLECTED = timedelta(days=1)
"""Age from which an attempt that no pointer names is removed, and a lease that nobody holds."""


class ConflictError(ValueError):
    """Another run has committed other files under the same key meanwhile."""


class Commit(BaseModel):
    """What a pointer says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempt: str = ""
    """The folder of the files; empty where a lease was taken and nothing is committed yet."""
    epoch: int = 0
    """The epoch of the latest lease: an older one cannot commit any more."""
    content: str = ""
    """Identifies the content: the digest of a table's file, or the hash of a model's weights."""
    files: dict[str, int] = {}
    """The size of each file, in bytes, by its name in the folder of the attempt."""


Listed: TypeAlias = dict[str, tuple[str, Commit]]
"""By key, the tag that a listing had, and what the pointer said when it was read afterwards."""

_LISTED: TypeAdapter[Listed] = TypeAdapter(Listed)


class Pointer(NamedTuple):
    """A pointer as it was read."""

    commit: Commit
    tag: str | None
    """The tag of the pointer's object; None where there is none."""


class Commits:
    """The commits of a store."""

    def __init__(self, store: Store, memory: Path | None = None) -> None:
        self.store, self._memory = store, memory
        self._listed: Listed | None = None
        """What pointers said, also to earlier processes that wrote the file ``memory``."""

    def current(self, key: str) -> Commit | None:
        """Return the latest commit of a key; None if there is none."""
        commit = self.pointer(key).commit
        return commit if commit.attempt else None

    def pointer(self, key: str) -> Pointer:
        """Return what the pointer of a key says.

        Raises:
            StoreError: its object is no pointer: remove it.
        """
        blob = self.store.get(_pointer_key(key))
        if blob is None:
            return Pointer(Commit(), None)
        try:
            return Pointer(Commit.model_validate_json(blob.data), blob.tag)
        except ValidationError as error:
            where = f"{self.store.url}/{_pointer_key(key)}"
            raise StoreError(f"{where}: is no pointer of this pipeline: remove it") from error

    def written(self, key: str) -> datetime | None:
        """Return when the pointer of a key was last swapped, by the clock of the store."""
        entry = self.store.head(_pointer_key(key))
        return entry.modified if entry and entry.size > _MAX_BYTES_WITHOUT_COMMIT else None

    def keys(self, folder: str) -> list[str]:
        """Return the keys with a commit below a folder, sorted."""
        return list(self._entries(folder))

    def latest(self, keys: Sequence[str]) -> list[Commit | None]:
        """Return the latest commit of each key: of many in a folder from its listing."""
        latest: dict[str, Commit | None] = {}
        for folder, group in groupby(sorted(keys), key=lambda key: key.rpartition("/")[0]):
            inside = list(group)
            if len(inside) > NUM_REQUESTS:
                commits = self.below(folder)
                latest |= {key: commits.get(key) for key in inside}
        single = [key for key in keys if key not in latest]
        with ThreadPoolExecutor(NUM_REQUESTS) as workers:
            latest |= zip(single, workers.map(self.current, single), strict=True)
        return [latest[key] for key in keys]

    def below(self, folder: str) -> dict[str, Commit]:
        """Return the latest commits below a folder, by key.

        A pointer is read if its tag in the listing is new, since no bytes ever return to one.
        """
        listed = self._listed = _recalled(self._memory) if self._listed is None else self._listed
        entries = self._entries(folder)
        unread = [key for key, tag in entries.items() if listed.get(key, ("",))[0] != tag]
        with ThreadPoolExecutor(NUM_REQUESTS) as workers:
            for key, commit in zip(unread, workers.map(self.current, unread), strict=True):
                if commit is None:
                    del entries[key]
                else:
                    listed[key] = (entries[key], commit)
        # A few take less time to read again than the file to write.
        if self._memory and not folder and len(unread) > NUM_REQUESTS:
            with replacing_file(self._memory) as file:
                file.write(_LISTED.dump_json(listed))
        return {key: listed[key][1] for key in entries}

    def _entries(self, folder: str) -> dict[str, str]:
        """Return the tag of each pointer with a commit below a folder, by key, in order."""
        entries = self.store.list(f"{CURRENT}/{folder}".rstrip("/"))
        return {
            _key_of(entry.key): entry.tag
            for entry in entries
            if entry.size > _MAX_BYTES_WITHOUT_COMMIT
        }

    def push(
        self,
        key: str,
        files: Mapping[str, Path],
        content: str,
        lease: Lease | None = None,
        replaced: Pointer | None = None,
    ) -> Commit:
        """Upload files and make them the latest commit of a key.

        Nothing is uploaded if the latest commit has the same content already. ``replaced`` is the
        pointer that is replaced, and nothing newer; by default the present one.

        Raises:
            LeaseLostError: another worker has taken the lease since.
            ConflictError: another run has committed other content meanwhile.
            StoreError: the store cannot be written.
        """
        old, tag = replaced or self.pointer(key)
        _check_lease(old, lease)
        is_there = bool(old.attempt) and old.content == content
        if is_there and (replaced is None or self.pointer(key).tag == tag):
            return old
        new = Commit(
            attempt=uuid.uuid4().hex,
            epoch=old.epoch,
            content=content,
            files={name: path.stat().st_size for name, path in sorted(files.items())},
        )
        for name, path in files.items():
            self.store.put(_file_key(key, new, name), path)
        if self.store.swap(_pointer_key(key), _bytes(new), tag):
            return new
        winner = self.pointer(key).commit
        _check_lease(winner, lease)
        if winner.attempt and winner.content == content:
            return winner
        raise ConflictError(self.conflict_message(key))

    def conflict_message(self, key: str) -> str:
        """Return what a user reads whose commit came too late."""
        return (
            f"{self.store.url}/{key}: another run has written it meanwhile, with other content: "
            "the same command makes it again"
        )

    def pull(self, key: str, commit: Commit, folder: Path) -> None:
        """Download the files of a commit into a folder.

        Raises:
            StoreError: a file is missing or has another size; its attempt may be collected.
        """
        for name, size in commit.files.items():
            self.store.download(_file_key(key, commit, name), folder / name)
            if (folder / name).stat().st_size != size:
                raise StoreError(
                    f"{self.store.url}/{_file_key(key, commit, name)}: does not have the "
                    f"{size} bytes that were committed: restore it, or make it again"
                )

    def last_epoch(self, keys: Iterable[str]) -> int:
        """Return the latest epoch under which one of these keys may be replaced."""
        return max((self.pointer(key).commit.epoch for key in keys), default=0)

    def fence(self, keys: Iterable[str], lease: Lease) -> None:
        """Let no older lease commit under these keys any more.

        Raises:
            LeaseLostError: a newer lease has done so.
        """
        for key in keys:
            while True:
                old, tag = self.pointer(key)
                if old.epoch > lease.epoch:
                    raise LeaseLostError(lease.lost_message)
                new = old.model_copy(update={"epoch": lease.epoch})
                if self.store.swap(_pointer_key(key), _bytes(new), tag):
                    break

    def clear(self, key: str, lease: Lease) -> None:
        """Make a key one without a commit, and remove the files of its last one.

        Raises:
            LeaseLostError: another worker has taken the lease since.
        """
        old, tag = self.pointer(key)
        _check_lease(old, lease)
        if old.attempt and not self.store.swap(
            _pointer_key(key), _bytes(Commit(epoch=old.epoch)), tag
        ):
            raise LeaseLostError(lease.lost_message)
        self.discard(key, old)

    def discard(self, key: str, commit: Commit) -> None:
        """Remove the files of a replaced commit that nobody but its lease's holder reads."""
        self.store.delete(_file_key(key, commit, name) for name in commit.files)

    def collect(self) -> int:
        """Remove attempts that no pointer names, a day after they were written; count them.

        Age is measured from the newest object of the store, so that no clock of a worker matters.
        """
        entries = self.store.list(ATTEMPTS)
        if not entries:
            return 0
        newest = max(entry.modified for entry in entries)
        named = {f"{ATTEMPTS}/{key}/{each.attempt}" for key, each in self.below("").items()}
        stale = [
            entry.key
            for entry in entries
            if newest - entry.modified > AGE_UNTIL_COLLECTED and not is_below(entry.key, named)
        ]
        self.store.delete(stale)
        return len(stale)


def _recalled(memory: Path | None) -> Listed:
    with suppress(FileNotFoundError, ValidationError):
        return _LISTED.validate_json(memory.read_bytes()) if memory else {}
    return {}


def _check_lease(commit: Commit, lease: Lease | None) -> None:
    """Check that no newer lease has fenced a pointer off."""
    if lease is None:
        return
    lease.check()
    if commit.epoch != lease.epoch:
        raise LeaseLostError(lease.lost_message)


def _pointer_key(key: str) -> str:
    return f"{CURRENT}/{key}.json"


def _key_of(pointer_key: str) -> str:
    return pointer_key.removeprefix(f"{CURRENT}/").removesuffix(".json")


def _file_key(key: str, commit: Commit, name: str) -> str:
    return f"{ATTEMPTS}/{key}/{commit.attempt}/{name}"


def _bytes(commit: Commit) -> bytes:
    return commit.model_dump_json().encode()


_MAX_BYTES_WITHOUT_COMMIT = len(_bytes(Commit(epoch=10**12)))
"""The size of a pointer that names no attempt. Those that name one are at least 20 bytes longer."""
