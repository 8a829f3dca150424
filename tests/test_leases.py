"""Leases that are removed, collected, listed and lost; models that are replaced meanwhile."""

import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from small_lake import small_lake
from test_commits import Machine
from test_mirror import models, save, text_of
from test_read_versions import CountingStore

from resources.storage import leases
from resources.storage.commits import Commit
from resources.storage.leases import LeaseLostError, collect_leases, held_leases, holding
from resources.storage.store import FolderStore
from tests.versions import write_model

NAME = "problems/words/00"


@pytest.fixture
def machines(tmp_path: Path) -> list[Machine]:
    """Two machines with one store."""
    store = FolderStore(tmp_path / "store")
    return [Machine(store, tmp_path / name) for name in "ab"]


def store_of(machine: Machine) -> FolderStore:
    store = machine.mirror.commits.store
    assert isinstance(store, FolderStore)
    return store


def test_a_lease_that_was_removed_begins_above_the_epochs_of_commits(
    machines: Sequence[Machine],
) -> None:
    first, second = machines
    store, rows = store_of(first), small_lake()["problems"]
    for _ in range(3):
        with first.mirror.holding(NAME, first.paths, "draws problems"):
            pass
    store.delete([f"leases/{NAME}.json"])
    assert second.label(rows) == "written"
    assert second.mirror.commits.last_epoch(["lake/problems/words/00.parquet"]) == 4


def test_leases_that_are_free_for_a_day_are_collected(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def age(name: str, days: int) -> None:
        then = time.time() - timedelta(days=days).total_seconds()
        os.utime(tmp_path / f"leases/{name}.json", (then, then))

    for name in ("old", "new"):
        with holding(store, name, "works"):
            pass
    with holding(store, "held", "works"):
        age("old", 2)
        age("held", 2)
        collect_leases(store, timedelta(days=1))
        assert [entry.key for entry in store.list("leases")] == [
            "leases/held.json",
            "leases/new.json",
        ]


def test_free_leases_are_not_read_to_show_those_that_are_held(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    for number in range(5):
        with holding(store, f"{number}", "works"):
            pass
    with holding(store, "held", "works"):
        store.requests.clear()
        [(name, record)] = held_leases(store).items()
        assert store.requests == {"list": 1, "get": 1}
    assert name == "held"
    assert record.process is not None
    assert record.process.pid == os.getpid()


def test_a_training_that_has_lost_its_lease_is_stopped(
    machines: Sequence[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS_BETWEEN_RENEWALS", 0.02)
    first = machines[0]
    store = store_of(first)

    def train(out: Path) -> None:
        key = "leases/models/weak.json"
        blob = store.get(key)
        assert blob is not None
        taken = leases.LeaseRecord(epoch=2, holder="another machine", token="another token")
        store.put(key, taken.model_dump_json().encode())
        time.sleep(20)
        write_model(out, "too late")

    started = time.monotonic()
    with pytest.raises(LeaseLostError, match="another worker has taken the lease over"):
        models(first.mirror).save("weak", train)
    assert time.monotonic() - started < 10
    assert store.list("attempts") == []


def test_a_model_that_is_replaced_and_collected_meanwhile_is_read_anew(
    machines: Sequence[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (machine.mirror for machine in machines)
    save(first, "one")
    commits = second.commits
    old = commits.current("models/weak")
    assert old is not None
    save(first, "two")
    commits.discard("models/weak", old)
    latest, answers = commits.current, [old]

    def current(key: str) -> Commit | None:
        return answers.pop() if answers else latest(key)

    monkeypatch.setattr(commits, "current", current)
    assert text_of(second) == "two"
