"""What other workers know of the process of a run."""

import os
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from assets.run_processes import PROCESS_TAG, has_ended, recorded_in_process_executor
from resources.processes import ProcessIdentity
from resources.storage import leases
from resources.storage.leases import LeaseRecord, holding
from resources.storage.store import FolderStore


@dg.op
def held_epoch() -> int:
    """Return the epoch of a lease that this run takes."""
    with holding(FolderStore(Path(os.environ["STORE"])), "drawn", "draws") as lease:
        return lease.epoch


@dg.job(executor_def=recorded_in_process_executor)
def leasing_job() -> None:
    """Hold a lease, as runs that draw do."""
    held_epoch()


def test_a_retry_does_not_wait_for_the_lease_of_a_run_that_dagster_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = ProcessIdentity.of_this()
    assert this is not None
    elsewhere = replace(this, host="lost", machine="lost", boot="lost")
    store = FolderStore(tmp_path / "store")
    lease = LeaseRecord(epoch=4, holder=elsewhere.to_json(), token="lost")
    store.put("leases/drawn.json", lease.model_dump_json().encode())

    def watch(*_: object) -> bool:
        raise AssertionError("the lease is watched")

    monkeypatch.setattr(leases, "_has_expired", watch)
    monkeypatch.setenv("STORE", str(tmp_path / "store"))
    with leases.freed(lambda _: True):
        assert leases._is_free(lease)
        # What this machine sees itself counts for more.
        own = lease.model_copy(update={"holder": this.to_json()})
        assert not leases._is_free(own)
    tags = {PROCESS_TAG: elsewhere.to_json()}
    with dg.instance_for_test() as instance:
        lost = instance.create_run_for_job(
            leasing_job, tags=tags, status=dg.DagsterRunStatus.STARTED
        )
        # What Dagster queues as a retry has the tags of the run that was lost.
        instance.create_run_for_job(
            leasing_job, tags=tags, root_run_id=lost.run_id, parent_run_id=lost.run_id
        )
        assert not has_ended(instance, elsewhere)
        instance.report_run_failed(lost)
        assert has_ended(instance, elsewhere)
        assert not has_ended(instance, replace(elsewhere, pid=1))
        with dg.execute_job(dg.reconstructable(leasing_job), instance=instance) as result:
            assert result.output_for_node("held_epoch") == 5
