"""Record in ``shards.json`` how each dataset of a lake is stored, and compare settings with it."""

import re
from dataclasses import dataclass
from pathlib import Path

from resources.storage.commits import ConflictError
from resources.storage.digests import digest_in_footer
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.locks import file_lock
from resources.storage.shards import (
    DatasetShards,
    Shards,
    num_shards_of,
    read_shards,
    write_shards,
)
from shepherd.identity import shard_keys
from shepherd.schemas import PROBLEMS, table_named
from shepherd.settings import NAME_PATTERN, Settings


@dataclass(frozen=True)
class LakeShards:
    """The shards of the lake under ``root``."""

    root: Path
    home_files: HomeFiles = LOCAL

    def check(self, settings: Settings) -> None:
        """Refuse settings that would reshard a populated dataset.

        Call it before problems are written. ``shards.json`` holds the number of shards of each
        dataset. A dataset without problems gets the number of the settings. A lost ``shards.json``
        is written again, also for datasets of other profiles.

        Raises:
            ValueError: the lake has another number of shards for a dataset: set ``shards`` to the
                number in the message. Or ``shards.json`` is damaged: move it aside.
        """
        self.fetch()
        recorded = self.recorded()
        if self._checked(recorded, settings) == recorded:
            return
        # Another profile may start in this home at the same time.
        with file_lock(self.path.with_name(".shards.lock")):
            while True:
                current = self._checked(self.recorded(), settings)
                try:
                    with self.home_files.committing(self.path, is_edited=True):
                        write_shards(self.path, current)
                except ConflictError:
                    # On another machine.
                    self.fetch()
                else:
                    break

    def _checked(self, recorded: Shards, settings: Settings) -> Shards:
        """Return what ``shards.json`` should hold.

        Raises:
            ValueError: the lake has another number of shards for a dataset.
        """
        populated = self._populated()
        if not recorded:
            self.home_files.fetch([path for paths in populated.values() for path in paths])
            recorded = {
                name: DatasetShards(shards=num_shards_of(paths, settings.shards))
                for name, paths in populated.items()
            }
        for name in recorded.keys() & populated.keys() & settings.datasets.keys():
            num_shards = recorded[name].shards
            if num_shards != settings.shards:
                raise ValueError(
                    f"shards is {settings.shards}, but {self.root} holds the dataset {name} in "
                    f"{num_shards} shards: set it back to {num_shards}, or point SHEPHERD_HOME at "
                    "a new folder"
                )
        numbers = {name: dataset.shards for name, dataset in recorded.items()}
        numbers |= dict.fromkeys(settings.datasets, settings.shards)
        return {
            name: DatasetShards(
                shards=num_shards,
                digests=(name in recorded and recorded[name].digests) or self._all_digests(name),
            )
            for name, num_shards in numbers.items()
        }

    def _populated(self) -> dict[str, list[Path]]:
        """Return the files of problems by dataset."""
        populated: dict[str, list[Path]] = {}
        folder = self.root / PROBLEMS.name
        for path in self.home_files.below(folder):
            name = path.parent.name
            is_shard = path.suffix == ".parquet" and re.fullmatch(r"\d+", path.stem)
            if is_shard and path.parent.parent == folder and re.fullmatch(NAME_PATTERN, name):
                populated.setdefault(name, []).append(path)
        return populated

    def _all_digests(self, dataset: str) -> bool:
        """Return whether all files of a dataset, and those outside the datasets, have digests.

        Tables of earlier versions of the pipeline are not read, and do not count.
        """
        paths = [
            path
            for path in self.home_files.below(self.root)
            if path.suffix == ".parquet"
            and (path.name == "all.parquet" or path.parent.name == dataset)
            and table_named(path.relative_to(self.root).parts[0])
        ]
        self.home_files.fetch(paths)
        return all(map(digest_in_footer, paths))

    @property
    def path(self) -> Path:
        """The file ``shards.json``."""
        return self.root / "shards.json"

    def fetch(self) -> None:
        """Bring the file up to date, if the lake is in a store."""
        self.home_files.fetch([self.path])

    def recorded(self) -> Shards:
        """Return what the file says."""
        return read_shards(self.path)

    def has_digests(self, path: Path) -> bool:
        """Return whether no earlier version of the pipeline can have written a file."""
        shards = self.recorded()
        dataset = shards.get(path.parent.name)
        if dataset is not None:
            return dataset.digests
        return bool(shards) and all(each.digests for each in shards.values())

    def is_partition(self, dataset: str, shard: str) -> bool:
        """Return whether a dataset has a shard, or ``all`` of a file without shards."""
        shards = self.recorded()
        if not shards:
            return all(re.fullmatch(NAME_PATTERN, name) for name in (dataset, shard))
        return dataset in shards and shard in ("all", *shard_keys(shards[dataset].shards))
