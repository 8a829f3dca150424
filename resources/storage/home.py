"""The one folder that everything a run writes lies under."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """Paths under the home folder. Nothing is created here: each writer makes its own folder."""

    root: Path

    @classmethod
    def from_env(cls) -> "Home":
        """Return the home that ``SHEPHERD_HOME`` names, or ``./data`` if it is unset or empty."""
        return cls(Path(os.environ.get("SHEPHERD_HOME") or "data").expanduser().absolute())

    @property
    def lake(self) -> Path:
        """Parquet files, one per table, dataset and shard."""
        return self.root / "lake"

    @property
    def models(self) -> Path:
        """Checkpoints of the models that the profile trains."""
        return self.root / "models"

    @property
    def journals(self) -> Path:
        """Finished requests of sampling stages, from which a killed stage resumes."""
        return self.root / "journals"

    @property
    def imports(self) -> Path:
        """Published labels as they were read, one folder a dataset."""
        return self.root / "imports"

    @property
    def exports(self) -> Path:
        """Labels in published formats, one folder an export of the profile."""
        return self.root / "exports"

    @property
    def study(self) -> Path:
        """Results of benchmarks (``--json``) that the report shows, one file each."""
        return self.root / "study"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    @property
    def dagster(self) -> Path:
        """``DAGSTER_HOME``: runs, events and dagster.yaml."""
        return self.root / "dagster"
