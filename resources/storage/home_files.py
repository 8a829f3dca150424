"""Read and write the files of a home, which are in its folder alone or mirror those of a store."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resources.storage.model_versions import ModelVersions

if TYPE_CHECKING:
    from resources.storage.segments import Segments


class HomeFiles:
    """The files of a home in a folder: what is there is what readers read.

    :class:`resources.storage.mirror.Mirror` overrides all methods for a home in a store.
    """

    def fetch(self, paths: Sequence[Path]) -> None:
        """Make files and folders what was last committed; remove those that never were."""

    def below(self, folder: Path) -> list[Path]:
        """Return the committed files below a folder, sorted, hidden ones left out."""
        paths: list[Path] = []
        # Other runs remove hidden files and folders meanwhile, which `Path.rglob` would trip over.
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths += [Path(parent, name) for name in names if not name.startswith(".")]
        return sorted(paths)

    def committing(
        self,
        path: Path,  # noqa: ARG002 - a file that is written is there
        *,
        is_edited: bool = False,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Commit the file or folder at ``path`` once the body has written it.

        With ``is_edited`` the new content is made from the old one, which was fetched before.

        Raises:
            ConflictError: another run has committed other content since the body began, or since
                the old content was fetched. Or the file is a table, and a table or model that the
                step has read is not the latest any more.
            LeaseLostError: another worker has taken the lease.
        """
        return nullcontext()

    def holding(
        self,
        name: str,  # noqa: ARG002 - files are locked by their writers
        paths: Sequence[Path],  # noqa: ARG002
        work: str,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Hold the lease under which ``paths`` are committed; files of a folder need none.

        While another worker holds it, this one waits, and says what the other does: its ``work``,
        such as "draws rollouts".
        """
        return nullcontext()

    def model(self, versions: ModelVersions) -> Path | None:
        """Return the folder of the latest version of a model; None if there is none.

        Raises:
            ValueError: files of the version have changed since it was written.
        """
        return versions.current()

    @contextmanager
    def replacing_model(self, versions: ModelVersions, work: Path) -> Iterator[Path]:
        """Create a folder that becomes the latest version of a model once the body has succeeded.

        ``work`` is the folder from which the body resumes; it is removed at the end. Another
        process that trains the model waits.
        """
        with versions.replacing(work) as written:
            yield written

    def digest(self, path: Path) -> str | None:
        """Return the digest of a table's file; None if nothing is at ``path``.

        It is empty where there is something else, such as a model.
        """
        from resources.storage.digests import digest_in_footer

        if path.suffix == ".parquet" and path.is_file():
            return digest_in_footer(path) or ""
        return "" if path.exists() else None

    def digests(self) -> Callable[[Path], str | None]:
        """Return :meth:`digest` as of now, for many files."""
        return self.digest

    def forget_reads(self) -> None:
        """Begin a step: the tables that it commits do not depend on what was read before."""

    def reading(self) -> AbstractContextManager[None]:
        """Let no table that is committed later depend on what the body reads."""
        return nullcontext()

    def written(self, path: Path) -> datetime | None:
        """Return when a file was last written, in UTC; None if it does not exist."""
        if not path.exists():
            return None
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def parts_of_models(self, models: Path, part: str) -> dict[str, Path]:
        """Return a folder in the latest version of each model that has it, by the model's name."""
        folders = {path.name: path / part for path in models.glob("[!.]*")}
        return {name: folder for name, folder in folders.items() if folder.is_dir()}

    def collect(self) -> None:
        """Remove what killed and losing runs have left behind."""

    def segments(
        self,
        journal: Path,  # noqa: ARG002 - a journal on a disk is enough
        fingerprint: object,  # noqa: ARG002
    ) -> "Segments | None":
        """Return where the records of a journal are sent; None if its file is enough."""
        return None

    def discard_segments(self, folder: Path) -> None:
        """Remove what was sent of the journals in a folder."""


LOCAL = HomeFiles()
"""The files of all homes in folders."""
