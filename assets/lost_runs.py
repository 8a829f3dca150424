"""Mark runs as failed whose process has ended without recording an end."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.run_processes import process_of

Status = dg.DagsterRunStatus

UNFINISHED = [Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING]
"""States that a process has to end. A queued run has none yet."""

IN_PROGRESS = [Status.STARTED, Status.CANCELING]
"""States in which a run may hold a place in a pool."""

START_TIMEOUT = timedelta(minutes=3)
"""How long the UI's run may take to record its process, as Dagster's own limit. A process that
takes longer finds the run failed and ends."""


def fail_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process has ended on this machine; free their places in pools.

    A killed process leaves such a run behind, and the run would keep its place in the pool until
    somebody cancels it. Returns one line for each run that was marked or that may be lost.

    Where Dagster itself watches the workers (``run_monitoring`` with a launcher of Kubernetes or
    Ray), runs on other machines are left to it, and so are runs that take long to start.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    lines = (_judge(instance, record) for record in records)
    return [line for line in lines if line]


def _judge(instance: dg.DagsterInstance, record: dg.RunRecord) -> str | None:
    """Mark a run as failed if it is lost; return a line to print, if there is any."""
    run = record.dagster_run
    is_monitored = instance.run_monitoring_enabled
    is_watched = is_monitored and instance.run_launcher.supports_check_run_worker_health
    process = process_of(instance, run)
    state = process.state() if process else None
    if process and state == "ended":
        return _fail(instance, run, f"its process {process.pid} has ended")
    age = datetime.now(UTC) - record.update_timestamp
    is_old = process is None and age > START_TIMEOUT
    if is_old and run.status == Status.STARTING and not is_monitored:
        return _fail(instance, run, "its process never began")
    if is_watched:
        return None
    if process and state == "unknown":
        return (
            f"Run {run.run_id[:8]} is in progress on {process.host} (process {process.pid}). "
            "If it was killed there, cancel it in the UI: it keeps its place in the pool."
        )
    if is_old and run.status in IN_PROGRESS:
        hours, minutes = divmod(int(age.total_seconds()) // 60, 60)
        return (
            f"Run {run.run_id[:8]} has been in progress for {hours} h {minutes} min, and "
            "its process is not recorded. If it has ended, cancel the run in the UI "
            "(`shepherd ui`): it keeps its place in the pool."
        )
    return None


def _fail(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> str | None:
    # It may have ended in order between the two looks.
    current = instance.get_run_by_id(run.run_id)
    if current is None or current.is_finished:
        return None
    message = f"The run was killed: {reason}."
    if current.status == Status.CANCELING:
        instance.report_run_canceled(current, message)
    else:
        instance.report_run_failed(current, message)
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return f"Run {run.run_id[:8]} was killed ({reason}): marked as failed."
