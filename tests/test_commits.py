"""Commits, leases and fencing: races, lost answers, zombies, and clocks minutes apart."""

import json
import os
import signal
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from small_lake import small_lake

from resources.storage import leases
from resources.storage.atomic import replacing_file
from resources.storage.commits import Commits, ConflictError
from resources.storage.lake import Lake
from resources.storage.leases import LeaseLostError, held_lease
from resources.storage.mirror import Mirror, mirror_folder
from resources.storage.store import Blob, Entry, FolderStore, OutOfReachError, Store
from shepherd.schemas import PROBLEMS

AT = ("words", "00")
FOOTER = {"fingerprints": "{}"}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return small_lake()["problems"].head(4)


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that expire after a tenth of a second."""
    monkeypatch.setattr(leases, "SECONDS_BETWEEN_RENEWALS", 0.02)
    monkeypatch.setattr(leases, "SECONDS_UNTIL_EXPIRED", 0.15)


class UnreliableStore(Store):
    """A store whose answers are late, and lost after the write."""

    def __init__(self, inner: Store, random: Random, attempts: set[str]) -> None:
        self.url, self._inner, self._random = inner.url, inner, random
        self._attempts = attempts

    def _answer(self, *, may_be_lost: bool = False) -> None:
        time.sleep(self._random.random() * 0.004)
        if may_be_lost and self._random.random() < 0.15:
            raise OutOfReachError("the answer was lost")

    def put(self, key: str, data: bytes | Path) -> None:
        self._inner.put(key, data)

    def _write_if(self, key: str, data: bytes, tag: str | None) -> bool:
        is_written = self._inner._write_if(key, data, tag)
        if is_written and key.startswith("current/"):
            self._attempts.add(json.loads(data)["attempt"])
        self._answer(may_be_lost=True)
        return is_written

    def get(self, key: str) -> Blob | None:
        self._answer()
        return self._inner.get(key)

    def head(self, key: str) -> Entry | None:
        return self._inner.head(key)

    def download(self, key: str, path: Path) -> None:
        self._inner.download(key, path)

    def list(self, folder: str) -> list[Entry]:
        return self._inner.list(folder)

    def delete(self, keys: Iterable[str]) -> None:
        self._inner.delete(keys)


class Machine:
    """A machine with a mirror of its own of a store."""

    def __init__(self, store: Store, root: Path) -> None:
        self.mirror = Mirror(store, root)
        self.lake = Lake(root / "lake", self.mirror)
        self.paths = [self.lake.path(PROBLEMS.name, *AT)]

    def label(self, rows: pl.DataFrame, pause: float = 0.0) -> str:
        """Write a partition unless another machine has; return what happened."""
        try:
            with self.mirror.holding("problems/words/00", self.paths, "draws problems"):
                if self.lake.metadata(PROBLEMS, *AT).get("fingerprints"):
                    return "found"
                time.sleep(pause)
                self.lake.write(PROBLEMS, rows, *AT, metadata=FOOTER)
                return "written"
        except LeaseLostError:
            return "lost"


@pytest.fixture
def machines(tmp_path: Path) -> list[Machine]:
    """Two machines with one store."""
    store = FolderStore(tmp_path / "store")
    return [Machine(store, tmp_path / name) for name in ("a", "b")]


def test_machines_read_what_others_have_committed(
    machines: Sequence[Machine], rows: pl.DataFrame, tmp_path: Path
) -> None:
    first, second = machines
    assert second.lake.partitions(PROBLEMS) == []
    first.lake.write(PROBLEMS, rows, *AT, metadata=FOOTER)
    assert second.lake.partitions(PROBLEMS) == [AT]
    assert second.lake.read(PROBLEMS).equals(rows)
    assert second.lake.metadata(PROBLEMS, *AT)["fingerprints"] == "{}"
    first.lake.write(PROBLEMS, rows.head(2), *AT)
    assert second.lake.scan(PROBLEMS, [AT]).collect().equals(rows.head(2))
    assert second.mirror.digest(second.paths[0]) == first.mirror.digest(first.paths[0])
    # The same content again is no other commit.
    before = second.mirror.commits.current("lake/problems/words/00.parquet")
    second.lake.write(PROBLEMS, rows.head(2), *AT)
    assert second.mirror.commits.current("lake/problems/words/00.parquet") == before


def test_what_was_never_committed_is_not_read(
    machines: Sequence[Machine], rows: pl.DataFrame
) -> None:
    first, second = machines

    def killed_between_write_and_commit(path: Path) -> None:
        with first.mirror.committing(path):
            with replacing_file(path) as file:
                file.write(b"half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        killed_between_write_and_commit(first.paths[0])
    assert first.lake.files(PROBLEMS) == []
    with pytest.raises(ValueError, match="nothing in the lake"):
        first.lake.read(PROBLEMS, *AT)
    second.lake.write(PROBLEMS, rows, *AT)
    assert first.lake.read(PROBLEMS, *AT).equals(rows)


def test_a_partition_that_is_drawn_for_the_first_time_is_not_listed(
    machines: Sequence[Machine], rows: pl.DataFrame
) -> None:
    first, second = machines
    first.lake.write(PROBLEMS, rows.tail(3), "words", "01")
    first.lake.write(PROBLEMS, rows.clear(), "other", "00")
    with first.mirror.holding("problems/words/00", first.paths, "draws problems"):
        assert second.lake.partitions(PROBLEMS) == [("other", "00"), ("words", "01")]
        assert second.lake.read(PROBLEMS).equals(rows.tail(3))
        first.lake.write(PROBLEMS, rows.head(1), *AT)
    assert second.lake.read(PROBLEMS).equals(rows)


def test_a_run_that_is_overtaken_takes_equal_content_and_refuses_other(
    machines: Sequence[Machine], rows: pl.DataFrame
) -> None:
    first, second = machines

    def overtaken(by: pl.DataFrame) -> None:
        with first.mirror.committing(first.paths[0]):
            second.lake.write(PROBLEMS, by, *AT)
            Lake(first.lake.root).write(PROBLEMS, rows, *AT)

    overtaken(rows)
    with pytest.raises(ConflictError, match="another run has written it meanwhile"):
        overtaken(rows.head(1))
    assert first.lake.read(PROBLEMS, *AT).equals(rows.head(1))


def test_the_shards_of_two_profiles_that_start_on_two_machines_are_both_recorded(
    machines: Sequence[Machine],
) -> None:
    from test_lake import of_dataset, settings

    first, second = machines
    for number, machine in enumerate([first, second, first]):
        machine.lake.check_shards(of_dataset(f"set{number}"))
    with ThreadPoolExecutor() as workers:
        list(workers.map(lambda each: each.lake.check_shards(settings(shards=4)), machines))
    for machine in machines:
        machine.lake.strays()
        assert (machine.lake.root / "shards.json").read_text().count('"shards"') == 4


def test_a_zombie_cannot_commit_after_its_lease_is_taken(
    machines: Sequence[Machine], rows: pl.DataFrame, short_leases: None
) -> None:
    first, second = machines

    def wakes_up_late() -> None:
        with first.mirror.holding("problems/words/00", first.paths, "draws problems"):
            zombie = held_lease()
            assert zombie is not None
            # It is paused: it neither renews nor notices that it has lost the lease.
            zombie._is_closed.set()
            zombie._renewer.join()
            with ThreadPoolExecutor() as workers:
                assert workers.submit(second.label, rows.head(3)).result() == "written"
            first.lake.write(PROBLEMS, rows, *AT, metadata=FOOTER)

    with pytest.raises(LeaseLostError, match="another worker has taken the lease over"):
        wakes_up_late()
    assert first.lake.read(PROBLEMS, *AT).equals(rows.head(3))
    assert second.label(rows) == "found"


def test_a_worker_waits_for_a_lease_that_is_renewed(
    machines: Sequence[Machine],
    rows: pl.DataFrame,
    short_leases: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = machines
    with ThreadPoolExecutor() as workers:
        slow = workers.submit(first.label, rows, 0.6)
        time.sleep(0.1)
        assert second.label(rows) == "found"
        assert slow.result() == "written"
    [line] = caplog.messages
    assert f"process {os.getpid()} on " in line
    assert "draws problems: waiting until it ends, or has not renewed its lease for" in line


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_races_of_two_workers_leave_one_commit_each(
    tmp_path: Path, rows: pl.DataFrame, short_leases: None, seed: int
) -> None:
    """Race 25 times, with late and lost answers."""
    random = Random(seed)

    def race(number: int) -> None:
        folder, committed = FolderStore(tmp_path / f"{number}"), set[str]()
        stores = [
            UnreliableStore(folder, Random(f"{seed} {number} {each}"), committed) for each in "ab"
        ]
        pair = [
            Machine(store, tmp_path / f"{number}-{each}")
            for store, each in zip(stores, "ab", strict=True)
        ]
        pauses = [random.choice([0.0, 0.05, 0.3]) for _ in pair]
        with ThreadPoolExecutor(2) as workers:
            outcomes = list(workers.map(work, pair, [rows, rows.head(3)], pauses))
        found = Machine(folder, tmp_path / f"{number}-c")
        # A fence before the first commit names no attempt.
        assert len(committed - {""}) == 1, outcomes
        assert outcomes.count("written") <= 1
        assert found.lake.metadata(PROBLEMS, *AT)["fingerprints"] == "{}"
        assert found.lake.read(PROBLEMS).height in (3, 4)

    def work(machine: Machine, frame: pl.DataFrame, pause: float) -> str:
        while (outcome := cut_off(machine, frame, pause)) == "down":
            time.sleep(0.02)
        return outcome

    def cut_off(machine: Machine, frame: pl.DataFrame, pause: float) -> str:
        try:
            return machine.label(frame, pause)
        except OutOfReachError:
            return "down"

    with ThreadPoolExecutor(5) as races:
        list(races.map(race, range(25)))


def test_the_lease_of_a_process_that_has_ended_here_is_free_at_once(
    tmp_path: Path, rows: pl.DataFrame
) -> None:
    child = os.fork()
    if child == 0:
        killed = Machine(FolderStore(tmp_path / "store"), tmp_path / "killed")
        with killed.mirror.holding("problems/words/00", killed.paths, "draws problems"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    machine = Machine(FolderStore(tmp_path / "store"), tmp_path / "machine")
    started = time.monotonic()
    assert machine.label(rows) == "written"
    assert time.monotonic() - started < leases.SECONDS_UNTIL_EXPIRED / 3


def test_attempts_without_a_pointer_are_collected_after_a_day(
    machines: Sequence[Machine], rows: pl.DataFrame
) -> None:
    first, second = machines
    store = first.mirror.commits.store
    assert isinstance(store, FolderStore)
    for frame in (rows.head(1), rows.head(2), rows.head(3)):
        first.lake.write(PROBLEMS, frame, *AT)
    files = {entry.key: store.root / entry.key for entry in store.list("attempts")}
    assert len(files) == 3
    assert Commits(store).collect() == 0
    current = first.mirror.commits.current("lake/problems/words/00.parquet")
    assert current is not None
    [oldest, *_] = [key for key in files if current.attempt not in key]
    two_days_ago = time.time() - timedelta(days=2).total_seconds()
    for key in (oldest, *(key for key in files if current.attempt in key)):
        os.utime(files[key], (two_days_ago, two_days_ago))
    assert Commits(store).collect() == 1
    assert not files[oldest].exists()
    assert second.lake.read(PROBLEMS).height == 3


def test_addresses_that_differ_have_other_mirrors(tmp_path: Path) -> None:
    urls = ["s3://bucket/a-b", "s3://bucket/a/b", "gs://bucket/a/b", "s3://other/a/b"]
    assert len({mirror_folder(url, tmp_path) for url in urls}) == 4
