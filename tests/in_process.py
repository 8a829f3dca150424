"""Dagster's UI and daemon in this process: launch backfills as the UI does, and make their runs."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml
from dagster._core.remote_origin import CodeLocationOrigin, InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster_graphql.test.utils import execute_dagster_graphql

CONFIG = "in_process.yaml"
MAX_ROUNDS = 20
"""Rounds of the daemon after which a backfill counts as hanging."""

LAUNCH = """
mutation Backfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@dataclass(frozen=True)
class ThisProject(WorkspaceLoadTarget):
    """The code location of workspace.yaml, loaded in this process."""

    def create_origins(self) -> Sequence[CodeLocationOrigin]:
        module = LoadableTargetOrigin(module_name="assets.definitions")
        return [InProcessCodeLocationOrigin(module, location_name="math_shepherd")]


@contextmanager
def workspace(dagster_home: Path) -> Iterator[WorkspaceProcessContext]:
    """Open the workspace with the settings of dagster.yaml; runs are made in this process."""
    config = yaml.safe_load((dagster_home / "dagster.yaml").read_text())
    config["run_launcher"] = {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    }
    (dagster_home / CONFIG).write_text(yaml.safe_dump(config))
    with (
        dg.DagsterInstance.from_config(str(dagster_home), CONFIG) as instance,
        WorkspaceProcessContext(instance, ThisProject()) as context,
    ):
        yield context


def launch_backfill(
    context: WorkspaceProcessContext, assets: Sequence[dg.AssetKey], partitions: Sequence[str]
) -> str:
    """Launch a backfill by the query that the UI sends; return its id."""
    parameters = {
        "assetSelection": [{"path": key.path} for key in assets],
        "partitionNames": partitions,
        "fromFailure": False,
    }
    answer = execute_dagster_graphql(
        context.create_request_context(), LAUNCH, {"backfillParams": parameters}
    )
    reply = answer.data["launchPartitionBackfill"]
    assert reply["__typename"] == "LaunchBackfillSuccess", reply
    return str(reply["backfillId"])


def finish_backfill(context: WorkspaceProcessContext, backfill: str) -> Sequence[dg.DagsterRun]:
    """Do what the daemon does, round after round, until a backfill is done; return its runs."""
    instance = context.instance
    with QueuedRunCoordinatorDaemon(interval_seconds=0) as queue:
        for _ in range(MAX_ROUNDS):
            errors = [
                *execute_backfill_iteration(context, logging.getLogger("backfill")),
                *queue.run_iteration(context),
            ]
            assert not any(errors), errors
            found = instance.get_backfill(backfill)
            assert found is not None
            if found.status.value not in ("REQUESTED", "FAILING", "CANCELING"):
                break
    return instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
