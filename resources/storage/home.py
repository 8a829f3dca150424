"""Name the paths under the home folder, which holds everything that a run writes."""

import os
from dataclasses import dataclass
from pathlib import Path

from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.store import Store, is_address, open_store
from resources.user_paths import cache_folder


@dataclass(frozen=True)
class Home:
    """Paths under the home folder. Nothing is created here: each writer creates its own folder."""

    root: Path
    """The folder of the home; of a home in a store, the folder that mirrors it on this machine."""

    files: HomeFiles = LOCAL
    """How the files are read and written."""

    address: str = ""
    """Where the home is if it is in a store."""

    @classmethod
    def from_env(cls) -> "Home":
        """Return the home that ``SHEPHERD_HOME`` names, or ``./data`` if it is unset or empty."""
        return cls.at(os.environ.get("SHEPHERD_HOME") or "data")

    @classmethod
    def at(cls, location: str) -> "Home":
        """Return the home in a folder, or at an address such as ``s3://bucket/prefix``.

        Raises:
            ValueError: the address is wrong, or object stores need a package that is missing.
        """
        if not is_address(location):
            return cls(Path(location).expanduser().absolute())
        from resources.storage.mirror import Mirror, mirror_folder

        store = open_store(location)
        root = mirror_folder(store.url, cache_folder() / "homes")
        return cls(root, Mirror(store, root), store.url)

    @property
    def location(self) -> str:
        """What ``SHEPHERD_HOME`` names this home."""
        return self.address or str(self.root)

    @property
    def lake(self) -> Path:
        """Parquet files: one for each table, dataset and shard."""
        return self.root / "lake"

    @property
    def models(self) -> Path:
        """Checkpoints of the models that are trained here."""
        return self.root / "models"

    @property
    def journals(self) -> Path:
        """Finished requests of sampling stages: a stage that was killed resumes from them."""
        return self.root / "journals"

    @property
    def imports(self) -> Path:
        """Published labels in our schema, before the lake has them: one folder a dataset."""
        return self.root / "imports"

    @property
    def exports(self) -> Path:
        """Labels in published formats: one folder for each export of the profile."""
        return self.root / "exports"

    @property
    def documents(self) -> Store:
        """The files that people write or read by themselves, under their paths in the home.

        ``study/*.json`` are results of benchmarks (``--json``) that the report shows,
        ``report_marks.jsonl`` the marks of its readers.
        """
        return open_store(self.location)

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    @property
    def engine_log(self) -> Path:
        """What the libraries of local engines print."""
        return self.root / "logs" / "engines.log"

    @property
    def dagster(self) -> Path:
        """The default of ``DAGSTER_HOME``: runs, events and dagster.yaml."""
        return self.root / "dagster"
