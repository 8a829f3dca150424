"""Record with each run which process executes it, so that a run whose process ended is found."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from resources.processes import ProcessIdentity, ends_as_interrupts
from resources.storage.leases import freed

if TYPE_CHECKING:
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan
    from dagster._core.execution.retries import RetryMode

PROCESS_TAG = "shepherd/process"
"""The tag of a run that identifies its process."""


def process_tags() -> dict[str, str]:
    """Return the tags of a run of this process; none on systems that cannot identify it."""
    process = ProcessIdentity.of_this()
    return {PROCESS_TAG: process.to_json()} if process else {}


def process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> ProcessIdentity | None:
    """Return the process that a run has recorded; None if it has not begun.

    A retry begins with the tags of the run that it repeats.
    """
    tag = run.tags.get(PROCESS_TAG)
    if tag is None:
        return None
    repeated = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    if repeated is not None and repeated.tags.get(PROCESS_TAG) == tag:
        return None
    return ProcessIdentity.from_json(tag)


def has_ended(instance: dg.DagsterInstance, process: ProcessIdentity) -> bool:
    """Return whether Dagster knows runs of this process, and that all of them have ended.

    On Kubernetes and Ray it watches the workers of all machines.
    """
    tagged = instance.get_runs(dg.RunsFilter(tags={PROCESS_TAG: process.to_json()}))
    runs = [run for run in tagged if process_of(instance, run) == process]
    return bool(runs) and all(run.is_finished for run in runs)


class RecordedExecutor(dg.Executor):
    """Execute the steps in the process of the run, and tag the run with that process.

    A retry does not wait for the leases of the worker that was lost.
    """

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> "RetryMode":
        """Return when steps are tried again, as the inner executor does."""
        return self._inner.retries

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """Tag the run, then execute it; a closed terminal interrupts it."""
        instance = plan_context.instance
        instance.add_run_tags(plan_context.run_id, process_tags())
        with ends_as_interrupts(), freed(partial(has_ended, instance)):
            yield from self._inner.execute(plan_context, execution_plan)


def _recorded(context: dg.InitExecutorContext) -> RecordedExecutor:
    create = dg.in_process_executor.executor_creation_fn
    assert create is not None
    return RecordedExecutor(create(context))


recorded_in_process_executor = dg.ExecutorDefinition(
    name=dg.in_process_executor.name,
    config_schema=dg.in_process_executor.config_schema.as_field(),
    executor_creation_fn=_recorded,
    description="Execute all steps in the process of the run, and record that process.",
)
"""Dagster's executor of one process, which tags its runs."""
