"""Keep a trained model under the hash of its files, and replace it in one step.

    models/generator -> .versions/generator/4c0d...    the latest version
    models/.versions/generator/4c0d.../                its files
    models/.versions/generator/91fe.../                the version before, for its last readers
    models/.versions/generator/.new/                   a version in the making

Links are relative, so that a copied home holds the same models.
"""

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from resources.storage.atomic import WriteError, sync, sync_folder, write_errors
from resources.storage.locks import file_lock
from resources.storage.weights import weights_identity

VERSIONS = ".versions"
"""The folder of all versions, beside the models."""

NEW = ".new"
"""The name of a version in the making."""

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""What file systems without links answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelVersions:
    """The versions of one model. ``link`` shows the latest."""

    link: Path

    @property
    def folder(self) -> Path:
        """The folder of the model's versions."""
        return self.link.parent / VERSIONS / self.link.name

    @property
    def is_managed(self) -> bool:
        """Whether the path is the link of a model that is kept in versions."""
        target = self._target(self.link)
        return target is not None and target.parent == self.folder

    @property
    def _next_link(self) -> Path:
        """The link before it takes its place. Its target is whole."""
        return self.folder / ".link"

    def current(self) -> Path | None:
        """Return the folder of the latest version; None if there is none.

        Homes of earlier versions of the pipeline have a plain folder in place of the link.

        Raises:
            ValueError: files of the version have changed since it was written.
        """
        target = self._target(self.link)
        if target is None and self.link.is_dir():
            return self.link
        # A process that died as it replaced a plain folder has left the next link.
        target = target or self._target(self._next_link)
        if target is None:
            self._refuse_lost_link()
            return None
        try:
            check_unchanged(target)
        except FileNotFoundError:
            # Two newer versions were written meanwhile, so that this one was removed.
            if self._target(self.link) == target:
                raise
            return self.current()
        return target

    @contextmanager
    def replacing(
        self, work: Path | None = None, *, commit: Callable[[Path], None] = lambda _: None
    ) -> Iterator[Path]:
        """Create a folder whose content becomes the latest version once the body has succeeded.

        The model is locked until then. If the body fails, the latest version stays.

        ``work`` is the folder from which the body resumes. It is locked, too, and is removed once
        the latest version is on the disk: no kill before that loses what the body has done.
        Before that, ``commit`` is called with the folder of the version.

        Raises:
            WriteError: the disk is full, read-only, has no links or fails; the message says what
                to do.
        """
        with ExitStack() as locks:
            # In this order everywhere, so that no two trainings wait for each other.
            for lock in ([lock_of(work)] if work else []) + [self.folder / ".lock"]:
                locks.enter_context(waiting_lock(lock))
            written = self.folder / NEW
            with write_errors(self.link):
                self._recover()
                self._check_links()
                written.mkdir()
            try:
                yield written
                with write_errors(self.link):
                    version = self._publish(written)
                commit(version)
            finally:
                shutil.rmtree(written, ignore_errors=True)
            if work:
                shutil.rmtree(work, ignore_errors=True)

    def _publish(self, written: Path) -> Path:
        """Name a written folder by its hash, point the link to it, and return it."""
        sync_folder(written)
        version = self.folder / weights_identity(written, is_settled=True)
        if version.is_dir() and weights_identity(version) != version.name:
            shutil.rmtree(version)
        if not version.exists():
            written.rename(version)
        for folder in (self.folder, self.folder.parent):
            sync(folder)
        self._point_to(version)
        return version

    def _check_links(self) -> None:
        """Check before a training that its result can be linked to.

        Raises:
            WriteError: the file system has no links.
        """
        probe = self.folder / ".probe"
        try:
            probe.symlink_to(NEW)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            raise WriteError(
                f"{self.link.parent}: the file system has no links, by which models are replaced: "
                "choose a home on another disk"
            ) from error
        probe.unlink()

    def _refuse_lost_link(self) -> None:
        """Refuse a model whose link is missing while its version is whole.

        Raises:
            ValueError: a copy has left the links out, or the model was removed.
        """
        with suppress(FileNotFoundError, NotADirectoryError):
            versions = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
            if versions and not os.path.lexists(self.link):
                newest = max(versions, key=lambda path: path.stat().st_mtime_ns)
                raise ValueError(
                    f"no model {self.link.name!r} at {self.link}, whose link is missing, as after "
                    f"a copy without links: `ln -s {newest.relative_to(self.link.parent)} "
                    f"{self.link}` brings it back, or materialize the asset {self.link.name} first"
                )

    def _recover(self) -> None:
        """Finish what a killed process began, and remove what it and older versions left."""
        self._convert()
        if self._target(self.link) is None and (target := self._target(self._next_link)):
            self._point_to(target)
        latest = self._target(self.link)
        for path in self.folder.iterdir():
            if path.is_symlink():
                path.unlink()
            elif path.is_dir() and path != latest:
                shutil.rmtree(path)

    def _convert(self) -> None:
        """Turn the plain folder of an earlier version of the pipeline into a version.

        That pipeline renamed the old folder aside before it renamed the new one into place, and
        may have died between the two.
        """
        name = self.link.name
        retired = sorted(self.link.parent.glob(f".{name}.{'[0-9a-f]' * 32}.old"))
        for old in retired:
            new = old.with_suffix(".new")
            if not os.path.lexists(self.link):
                (new if new.is_dir() else old).rename(self.link)
        for state in ("old", "new"):
            for path in self.link.parent.glob(f".{name}.{'[0-9a-f]' * 32}.{state}"):
                shutil.rmtree(path)
        if self.link.is_dir() and not self.link.is_symlink():
            version = self.folder / weights_identity(self.link)
            shutil.rmtree(version, ignore_errors=True)
            self._write_next_link(version)
            self.link.rename(version)
            self._next_link.replace(self.link)

    def _point_to(self, version: Path) -> None:
        self._write_next_link(version)
        self._next_link.replace(self.link)
        sync(self.link.parent)

    def _write_next_link(self, version: Path) -> None:
        self._next_link.unlink(missing_ok=True)
        # Links are read from the folder in which the next link will be.
        self._next_link.symlink_to(version.relative_to(self.link.parent), target_is_directory=True)

    def _target(self, link: Path) -> Path | None:
        """Return the folder that a link shows; None if it is no link, or its folder is missing."""
        if not link.is_symlink():
            return None
        target = self.link.parent / link.readlink()
        return target if target.is_dir() else None


def check_unchanged(checkpoint: Path | str) -> None:
    """Check that the files of a trained model are those that its folder is named after.

    Other checkpoints have no hash to compare with.

    Raises:
        ValueError: a file has changed, is missing or is new.
    """
    version = Path(checkpoint).resolve()
    is_version = version.parent.parent.name == VERSIONS and not version.name.startswith(".")
    if is_version and version.is_dir() and weights_identity(version) != version.name:
        name = version.parent.name
        raise ValueError(
            f"{checkpoint}: files of this model have changed since it was trained, as the hash of "
            f"{version} shows: materialize the asset {name} again, or use a copy of the folder as "
            "a `base`"
        )


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Lock a file; while another process has it locked, wait and say so."""
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, refusal="is locked"))
        except WriteError:
            raise
        except ValueError:
            _log.warning("%s: another process trains this model: waiting until it ends", path)
            stack.enter_context(file_lock(path))
        yield


def lock_of(work: Path) -> Path:
    """Return the lock file beside a work folder."""
    return work.with_name(f"{work.name}.lock")


def is_unpublished(folder: Path) -> bool:
    """Return whether a folder is a version in the making, which is locked and published later."""
    return folder.name == NEW and folder.parent.parent.name == VERSIONS
