"""Mirror a home that is in a store: each machine has a folder with the files that it needs.

The folder is laid out as that of any home, so that all readers and writers stay as they are.
``.fetched`` in it says which attempt each file is of; nothing else in it matters to other machines.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import xxhash

from resources.storage.atomic import replacing_file, replacing_folder
from resources.storage.commits import (
    AGE_UNTIL_COLLECTED,
    NUM_REQUESTS,
    Commit,
    Commits,
    ConflictError,
)
from resources.storage.digests import digest_in_footer
from resources.storage.file_sets import content_of, files_below
from resources.storage.home_files import HomeFiles
from resources.storage.interrupts import interruptible
from resources.storage.latest_digests import LatestDigests
from resources.storage.leases import collect_leases, held_lease, holding, stops_once_lost
from resources.storage.locks import file_lock
from resources.storage.model_versions import ModelVersions, check_unchanged
from resources.storage.reads import Reads
from resources.storage.segments import JOURNALS, Segments
from resources.storage.store import Store, StoreError
from resources.storage.training_state import restore_state, saving_state

FETCHED = ".fetched"

POINTERS = ".pointers.json"
"""The file in ``.fetched`` of what pointers said when they were listed."""

TABLE = ".parquet"
"""The suffix of files of tables: they are committed only while what they were made from is new."""


class Mirror(HomeFiles):
    """The files of a home in a store, mirrored in the folder ``root``."""

    def __init__(self, store: Store, root: Path) -> None:
        self.commits, self.root = Commits(store, root / FETCHED / POINTERS), root
        self._reads = Reads(self.commits)

    def key(self, path: Path) -> str:
        """Return the key of a path in the folder."""
        return path.relative_to(self.root).as_posix()

    def fetch(self, paths: Sequence[Path]) -> None:
        """Download what is committed and not here yet, several files at a time."""
        if len(paths) == 1:
            self._note_read(paths[0], self._fetch(paths[0]))
            return
        listed = self.commits.latest([self.key(path) for path in paths])
        with ThreadPoolExecutor(NUM_REQUESTS) as workers:
            for path, commit in zip(paths, workers.map(self._fetch, paths, listed), strict=True):
                self._note_read(path, commit)

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
            digest = digest_in_footer(path) if path.suffix == TABLE else None
            content = digest or content_of(files)
            if is_table := path.suffix == TABLE:
                self._reads.check(key)
            commit = self.commits.push(key, files, content, held_lease(), old)
            if is_table:
                # What was replaced just before the swap would be noticed by nobody else.
                self._reads.check(key)
            self._reads.replaced(key)
            _write(mark, commit)

    @contextmanager
    def holding(self, name: str, paths: Sequence[Path], work: str) -> Iterator[None]:
        """Hold a lease, and let no older one commit these paths."""
        keys = [self.key(path) for path in paths]
        last_epoch = partial(self.commits.last_epoch, keys)
        with holding(self.commits.store, name, work, last_epoch) as lease:
            self.commits.fence(keys, lease)
            yield

    def model(self, versions: ModelVersions) -> Path | None:
        """Return the folder of the latest version, downloaded if it is not here."""
        key = self.key(versions.link)
        commit = self._pulled(key, self.commits.current(key), partial(self._pull_model, versions))
        if commit is None:
            return None
        self._reads.note(key, commit)
        folder = versions.folder / commit.content
        check_unchanged(folder)
        return folder

    @contextmanager
    def replacing_model(self, versions: ModelVersions, work: Path) -> Iterator[Path]:
        """Train under a lease, save the training's state to the store, and commit the model.

        Raises:
            LeaseLostError: another worker has taken the lease over; the training is stopped.
        """
        commits, key, state = self.commits, self.key(versions.link), self.key(work)

        def commit(version: Path) -> None:
            files = {name: path for name, path in files_below(version).items() if name[0] != "."}
            commits.push(key, files, version.name, lease)
            commits.clear(state, lease)
            self.discard_segments(work)

        last_epoch, work_name = partial(commits.last_epoch, [key, state]), versions.link.name
        with (
            interruptible() as interrupt,
            holding(commits.store, key, f"trains {work_name}", last_epoch, interrupt) as lease,
            stops_once_lost(lease),
        ):
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

    def digests(self) -> Callable[[Path], str | None]:
        """Return the content of commits, as it is when it is asked for first."""
        latest = LatestDigests(self.commits)
        return lambda path: latest.of(self.key(path))

    def written(self, path: Path) -> datetime | None:
        """Return when the latest commit was made, by the clock of the store."""
        return self.commits.written(self.key(path))

    def parts_of_models(self, models: Path, part: str) -> dict[str, Path]:
        """Download a folder of each model, without its weights."""
        folders = {}
        for key, commit in self.commits.below(self.key(models)).items():
            files = {
                name: size for name, size in commit.files.items() if Path(name).parts[0] == part
            }
            folder = self.root / FETCHED / key / commit.attempt
            if not files or Path(key).name.startswith("."):
                continue
            if not folder.is_dir():
                with replacing_folder(folder) as new:
                    self.commits.pull(key, commit.model_copy(update={"files": files}), new)
            folders[Path(key).name] = folder / part
        return folders

    def forget_reads(self) -> None:
        """Begin a step."""
        self._reads.forget()

    def reading(self) -> AbstractContextManager[None]:
        """Forget at the end what the body has read."""
        return self._reads.within()

    def collect(self) -> None:
        """Remove attempts that no pointer names, and leases that nobody has held for a day."""
        self.commits.collect()
        collect_leases(self.commits.store, AGE_UNTIL_COLLECTED)

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

    def _fetch(self, path: Path, listed: Commit | None = None) -> Commit | None:
        """Bring a path up to date and return its commit; ``listed`` may be the latest one."""
        key = self.key(path)
        with self._marking(path) as mark:
            if listed is not None and path.exists() and _read(mark) == listed.attempt:
                return listed
            # Another process may have fetched a newer commit, which no older one replaces.
            latest = self.commits.current(key)
            if latest is not None and path.exists() and _read(mark) == latest.attempt:
                return latest
            commit = self._pulled(key, latest, partial(self._download, path))
            if commit is not None:
                _write(mark, commit)
                return commit
            mark.unlink(missing_ok=True)
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            return None

    def _pulled(
        self, key: str, commit: Commit | None, pull: Callable[[Commit], None]
    ) -> Commit | None:
        """Pull a commit, or a newer one if it is replaced and collected meanwhile; return it."""
        while commit is not None:
            try:
                pull(commit)
            except StoreError:
                newer = self.commits.current(key)
                if newer == commit:
                    raise
                commit = newer
            else:
                break
        return commit

    def _download(self, path: Path, commit: Commit) -> None:
        if list(commit.files) == [path.name]:
            self.commits.pull(self.key(path), commit, path.parent)
            return
        with replacing_folder(path) as folder:
            self.commits.pull(self.key(path), commit, folder)

    def _pull_model(self, versions: ModelVersions, commit: Commit) -> None:
        key, folder = self.key(versions.link), versions.folder / commit.content
        if folder.is_dir():
            return
        with versions.replacing() as written:
            self.commits.pull(key, commit, written)
        if not folder.is_dir():
            raise StoreError(
                f"{self.commits.store.url}/{key}: its files are not those of {commit.content}: "
                f"materialize the asset {versions.link.name} again"
            )

    def _note_read(self, path: Path, commit: Commit | None) -> None:
        if path.suffix == TABLE:
            self._reads.note(self.key(path), commit)

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
