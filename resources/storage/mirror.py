"""Mirror a home that is in a store: each machine has a folder with the files that it needs.

The folder is laid out as that of any home, so that all readers and writers stay as they are.
``.fetched`` in it says which attempt each file is of; nothing else in it matters to other machines.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash

from resources.storage.atomic import replacing_file, replacing_folder
from resources.storage.commits import (
    NUM_REQUESTS,
    Commit,
    Commits,
    ConflictError,
    content_of,
    files_below,
)
from resources.storage.digests import digest_in_footer
from resources.storage.home_files import HomeFiles
from resources.storage.leases import held_lease, holding
from resources.storage.locks import file_lock
from resources.storage.model_versions import ModelVersions, check_unchanged
from resources.storage.segments import JOURNALS, Segments
from resources.storage.store import Store, StoreError
from resources.storage.training_state import restore_state, saving_state

FETCHED = ".fetched"


class Mirror(HomeFiles):
    """The files of a home in a store, mirrored in the folder ``root``."""

    def __init__(self, store: Store, root: Path) -> None:
        self.commits, self.root = Commits(store), root

    def key(self, path: Path) -> str:
        """Return the key of a path in the folder."""
        return path.relative_to(self.root).as_posix()

    def fetch(self, paths: Sequence[Path]) -> None:
        """Download what is committed and not here yet, several files at a time."""
        if len(paths) == 1:
            self._fetch(paths[0])
            return
        with ThreadPoolExecutor(NUM_REQUESTS) as workers:
            list(workers.map(self._fetch, paths))

    def below(self, folder: Path) -> list[Path]:
        """Return the paths that have a pointer, whether or not they are here."""
        return [self.root / key for key in self.commits.keys(self.key(folder))]

    @contextmanager
    def committing(self, path: Path, *, is_edited: bool = False) -> Iterator[None]:
        """Forget which attempt is here, let the body write, and commit what it has written."""
        key = self.key(path)
        with self._marking(path) as mark:
            old = self.commits.pointer(key)
            if is_edited and _read(mark) != old.commit.attempt:
                raise ConflictError(self.commits.conflict_message(key))
            mark.unlink(missing_ok=True)
            yield
            files = files_below(path)
            digest = digest_in_footer(path) if path.suffix == ".parquet" else None
            content = digest or content_of(files)
            commit = self.commits.push(key, files, content, held_lease(), old)
            _write(mark, commit)

    @contextmanager
    def holding(self, name: str, paths: Sequence[Path], refusal: str) -> Iterator[None]:
        """Hold a lease, and let no older one commit these paths."""
        with holding(self.commits.store, name, refusal) as lease:
            self.commits.fence(map(self.key, paths), lease)
            yield

    def model(self, versions: ModelVersions) -> Path | None:
        """Return the folder of the latest version, downloaded if it is not here."""
        key = self.key(versions.link)
        commit = self.commits.current(key)
        if commit is None:
            return None
        folder = versions.folder / commit.content
        if not folder.is_dir():
            with versions.replacing() as written:
                self.commits.pull(key, commit, written)
            if not folder.is_dir():
                raise StoreError(
                    f"{self.commits.store.url}/{key}: its files are not those of {commit.content}: "
                    f"materialize the asset {versions.link.name} again"
                )
        check_unchanged(folder)
        return folder

    @contextmanager
    def replacing_model(self, versions: ModelVersions, work: Path) -> Iterator[Path]:
        """Train under a lease, save the training's state to the store, and commit the model.

        Raises:
            ValueError: another worker trains the model, or has taken the lease over.
        """
        commits, key, state = self.commits, self.key(versions.link), self.key(work)

        def commit(version: Path) -> None:
            files = {name: path for name, path in files_below(version).items() if name[0] != "."}
            commits.push(key, files, version.name, lease)
            commits.clear(state, lease)
            self.discard_segments(work)

        refusal = f"another run trains {versions.link.name}: wait until it ends, or end it"
        with holding(commits.store, key, refusal) as lease:
            commits.fence([key, state], lease)
            work.mkdir(parents=True, exist_ok=True)
            restore_state(commits, state, work)
            with (
                versions.replacing(work, commit=commit) as written,
                saving_state(commits, state, work, lease),
            ):
                yield written

    def digest(self, path: Path) -> str | None:
        """Return the content of the latest commit, without a download."""
        commit = self.commits.current(self.key(path))
        return None if commit is None else commit.content

    def collect(self) -> None:
        """Remove attempts that no pointer names."""
        self.commits.collect()

    def segments(self, journal: Path, fingerprint: object) -> Segments:
        """Return the segments of a journal; the thread must hold the lease of its stage."""
        lease = held_lease()
        assert lease is not None, f"{journal} is written without a lease"
        return Segments(self.commits.store, self._segment_folder(journal), fingerprint, lease)

    def discard_segments(self, folder: Path) -> None:
        """Remove segments of this lease and older ones: a newer worker's stay."""
        lease, store = held_lease(), self.commits.store
        entries = store.list(self._segment_folder(folder))
        store.delete(
            entry.key
            for entry in entries
            if lease is None or int(entry.key.split("/")[-2]) <= lease.epoch
        )

    def _segment_folder(self, path: Path) -> str:
        return f"{JOURNALS}/{self.key(path).removeprefix(f'{JOURNALS}/')}"

    def _fetch(self, path: Path) -> None:
        key = self.key(path)
        commit = self.commits.current(key)
        with self._marking(path) as mark:
            while commit is not None:
                if path.exists() and _read(mark) == commit.attempt:
                    return
                try:
                    self._download(key, commit, path)
                except StoreError:
                    newer = self.commits.current(key)
                    if newer == commit:
                        raise
                    commit = newer
                else:
                    _write(mark, commit)
                    return
            mark.unlink(missing_ok=True)
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)

    def _download(self, key: str, commit: Commit, path: Path) -> None:
        if list(commit.files) == [path.name]:
            self.commits.pull(key, commit, path.parent)
            return
        with replacing_folder(path) as folder:
            self.commits.pull(key, commit, folder)

    @contextmanager
    def _marking(self, path: Path) -> Iterator[Path]:
        """Lock a path against other processes of this machine; yield the file of its attempt."""
        mark = self.root / FETCHED / self.key(path)
        with file_lock(mark.with_name(f"{mark.name}.lock")):
            yield mark


def mirror_folder(url: str, cache: Path) -> Path:
    """Return the folder that mirrors the home at an address, below a folder of all mirrors."""
    name = re.sub(r"\W+", "-", url.partition("://")[2]).strip("-")
    return cache / f"{name}-{xxhash.xxh3_64_hexdigest(url.encode())[:8]}"


def _read(mark: Path) -> str:
    with suppress(FileNotFoundError):
        return mark.read_text(encoding="utf-8")
    return ""


def _write(mark: Path, commit: Commit) -> None:
    with replacing_file(mark) as file:
        file.write(commit.attempt.encode())
