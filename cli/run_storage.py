"""Store Dagster's runs with the code location that they belong to."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from dagster import DagsterRun
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._serdes import ConfigurableClassData

WORKSPACE = Path(__file__).resolve().parents[1] / "workspace.yaml"
"""The file that names the code location, which the UI loads."""


class LocatedRunStorage(SqliteRunStorage):
    """Dagster's own storage of runs, in the same file, that says where a run's job is defined.

    A run that Python starts in its own process has no such origin, and the timeline of the UI
    leaves out runs without one.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Open the storage that a section of dagster.yaml describes."""
        return cls.from_local(inst_data=inst_data, **config_value)

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Store a run as one of a job of the code location."""
        if dagster_run.remote_job_origin is None:
            origin = RemoteJobOrigin(_repository(), dagster_run.job_name)
            dagster_run = dagster_run.with_job_origin(origin)
        return super().add_run(dagster_run)


@cache
def _repository() -> RemoteRepositoryOrigin:
    [location] = location_origins_from_yaml_paths([str(WORKSPACE)])
    return RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
