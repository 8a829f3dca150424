"""Journals, models and training states of a home in a store, on two machines."""

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_lake import small_lake

from resources.storage import leases, segments, training_state
from resources.storage.home import Home
from resources.storage.journal import Journal, open_journal
from resources.storage.lake import Lake
from resources.storage.mirror import Mirror
from resources.storage.model_store import ModelStore
from resources.storage.store import Blob, FolderStore, OutOfReachError, StoreError
from resources.storage.verification import items_of
from shepherd.requests import Completion, completion_block
from shepherd.schemas import PROBLEMS
from tests.versions import write_model

FINGERPRINT = {"weights": "abc", "seed": 1}


class Bucket(FolderStore):
    """A store that can be down."""

    is_down = False

    def put(self, key: str, data: bytes | Path) -> None:
        if self.is_down:
            raise OutOfReachError(f"{self.url}/{key}: the store does not answer")
        super().put(key, data)

    def get(self, key: str) -> Blob | None:
        if self.is_down:
            raise OutOfReachError(f"{self.url}/{key}: the store does not answer")
        return super().get(key)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket")


@pytest.fixture
def machines(bucket: Bucket, tmp_path: Path) -> list[Mirror]:
    return [Mirror(bucket, tmp_path / name) for name in ("a", "b")]


@contextmanager
def sampling(mirror: Mirror) -> Iterator[Journal]:
    """Hold the lease of a partition, and open a journal of it."""
    path = mirror.root / "journals/rollouts/words/00/completer.journal"
    with (
        mirror.holding("rollouts/words/00", [], "draws rollouts"),
        open_journal(path, FINGERPRINT, mirror) as journal,
    ):
        yield journal


def record(journal: Journal, *names: str) -> None:
    block = completion_block(Completion(name, name * 9, "stop", 5, 4, 3, 0.5) for name in names)
    journal.record(block)


def recorded(mirror: Mirror) -> list[str]:
    with sampling(mirror) as journal:
        return sorted(journal.completions["request_id"])


def test_a_successor_on_another_machine_reads_the_records_of_all_epochs(
    machines: Sequence[Mirror], bucket: Bucket
) -> None:
    first, second = machines
    with sampling(first) as journal:
        record(journal, "a", "b")
    with sampling(second) as journal:
        assert sorted(journal.completions["request_id"]) == ["a", "b"]
        record(journal, "c")
    with sampling(first) as journal:
        assert sorted(journal.completions["request_id"]) == ["a", "b", "c"]
        assert journal.completions.filter(request_id="c")["text"].to_list() == ["c" * 9]
        record(journal, "d")
    assert recorded(second) == ["a", "b", "c", "d"]
    epochs = [entry.key.split("/")[-2:] for entry in bucket.list("journals")]
    assert epochs == [["000001", "000000"], ["000002", "000000"], ["000003", "000000"]]


def test_records_that_a_killed_process_has_not_sent_are_sent_by_the_next(
    machines: Sequence[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machines
    with sampling(first) as journal:
        record(journal, "a")
    path = first.root / "journals/rollouts/words/00/completer.journal"
    # As a process that is killed within the second.
    with open_journal(path, FINGERPRINT) as journal:
        record(journal, "b", "c")
    assert recorded(first) == ["a", "b", "c"]
    assert recorded(second) == ["a", "b", "c"]


def test_records_are_sent_while_the_stage_draws(
    machines: Sequence[Mirror], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(segments, "SECONDS_BETWEEN_SEGMENTS", 60.0)
    monkeypatch.setattr(segments, "MAX_WAITING_BYTES", 4_000)
    with sampling(machines[0]) as journal:
        for number in range(50):
            record(journal, f"request {number}")
        # No more than the cap may wait.
        assert sum(entry.size for entry in bucket.list("journals")) > 10_000
    assert len(recorded(machines[1])) == 50
    assert len(bucket.list("journals")) < 30


def test_a_store_that_goes_down_ends_the_stage_and_loses_nothing(
    machines: Sequence[Mirror], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SECONDS_BETWEEN_SEGMENTS", 0.01)

    def draw_until_it_is_down() -> None:
        with sampling(machines[0]) as journal:
            record(journal, "a")
            bucket.is_down = True
            for number in range(100_000):
                record(journal, f"late {number % 3}")

    with pytest.raises(OutOfReachError, match="the store does not answer"):
        draw_until_it_is_down()
    bucket.is_down = False
    # Its lease could not be freed, but its process is known here.
    names = set(recorded_after_expiry(machines[0]))
    assert {"a", "late 0"} <= names
    assert set(recorded(machines[1])) == names


def recorded_after_expiry(mirror: Mirror) -> list[str]:
    [lease] = [entry.key for entry in mirror.commits.store.list("leases")]
    mirror.commits.store.delete([lease])
    return recorded(mirror)


def test_discarding_leaves_the_records_of_a_newer_holder(
    machines: Sequence[Mirror], bucket: Bucket
) -> None:
    first = machines[0]
    folder = first.root / "journals/rollouts/words/00"
    with sampling(first) as journal:
        record(journal, "a")
        bucket.put("journals/rollouts/words/00/completer.journal/f/000009/000000", b"newer")
        bucket.put("journals/rollouts/words/01/completer.journal/f/000001/000000", b"other shard")
        first.discard_segments(folder)
    kept = [entry.key.removeprefix("journals/rollouts/words/") for entry in bucket.list("journals")]
    # The record was on its way, and was sent at the end.
    assert [key for key in kept if "/000001/" not in key or key.startswith("01")] == [
        "00/completer.journal/f/000009/000000",
        "01/completer.journal/f/000001/000000",
    ]


def models(mirror: Mirror) -> ModelStore:
    return ModelStore(mirror.root / "models", mirror)


def save(mirror: Mirror, text: str) -> None:
    models(mirror).save("weak", lambda out: write_model(out, text))


def text_of(mirror: Mirror) -> str:
    return (models(mirror).path("weak") / "model.safetensors").read_text()


def test_a_model_that_one_machine_trains_is_read_on_all(
    machines: Sequence[Mirror], bucket: Bucket
) -> None:
    first, second = machines
    with pytest.raises(ValueError, match="materialize the asset weak first"):
        models(second).path("weak")
    save(first, "one")
    assert text_of(second) == "one"
    assert models(first).path("weak").name == models(second).path("weak").name
    save(second, "two")
    assert [text_of(mirror) for mirror in machines] == ["two", "two"]
    [damaged] = [key for key in (each.key for each in bucket.list("attempts")) if "safe" in key][:1]
    assert damaged.startswith("attempts/models/weak/")


def test_curves_and_dates_come_from_the_store(machines: Sequence[Mirror]) -> None:
    first, second = machines

    def write(out: Path) -> None:
        write_model(out, "one")
        (out / "runs").mkdir()
        (out / "runs" / "curve").write_text("1 2 3")

    models(first).save("weak", write)
    folders = second.parts_of_models(second.root / "models", "runs")
    assert {name: (path / "curve").read_text() for name, path in folders.items()} == {
        "weak": "1 2 3"
    }
    # The weights may be large.
    assert list(second.root.rglob("*.safetensors")) == []
    warehouse = second.root / "warehouse.duckdb"
    assert second.written(warehouse) is None
    with first.committing(first.root / "warehouse.duckdb"):
        (first.root / "warehouse.duckdb").write_text("rows")
    written = second.written(warehouse)
    assert written is not None
    assert abs(written.timestamp() - time.time()) < 60


def test_a_damaged_model_in_the_store_is_refused(
    machines: Sequence[Mirror], bucket: Bucket
) -> None:
    first, second = machines
    save(first, "one")
    [weights] = [each.key for each in bucket.list("attempts") if "safetensors" in each.key]
    bucket.put(weights, b"onE")
    with pytest.raises(StoreError, match="materialize the asset weak again"):
        models(second).path("weak")


def test_a_model_is_trained_by_one_worker_at_a_time(
    machines: Sequence[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS_BETWEEN_RENEWALS", 0.02)
    monkeypatch.setattr(leases, "SECONDS_UNTIL_EXPIRED", 0.5)
    first, second = machines
    with ThreadPoolExecutor() as workers:

        def train(out: Path) -> None:
            started.append(workers.submit(save, second, "two"))
            time.sleep(1)
            assert not started[0].done()
            write_model(out, "one")

        started: list[Future[None]] = []
        models(first).save("weak", train)
        started[0].result()
    assert text_of(first) == "two"


def checkpoint(work: Path, step: int) -> None:
    """Replace the checkpoint of a training, as :mod:`training.checkpoints` does."""
    new, old = work / "checkpoint.new", work / "checkpoint"
    new.mkdir(parents=True)
    (new / "model.safetensors").write_text(f"weights {step}")
    (new / "progress.json").write_text(str(step))
    if old.is_dir():
        old.rename(work / "checkpoint.old")
    new.rename(old)
    (work / "train").mkdir(exist_ok=True)
    (work / "train" / "ids").write_text("tokens of this machine")


def train_until_killed(mirror: Mirror, *steps: int) -> None:
    work = models(mirror).work("weak")

    def killed(_: Path) -> None:
        for step in steps:
            checkpoint(work, step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models(mirror).save("weak", killed)


def step_of(mirror: Mirror) -> list[str]:
    """Return at which step a training resumes, and finish it."""
    work, found = models(mirror).work("weak"), list[str]()

    def resumes(out: Path) -> None:
        path = work / "checkpoint" / "progress.json"
        found.extend([path.read_text()] if path.exists() else [])
        write_model(out, "done")

    models(mirror).save("weak", resumes)
    return found


def test_another_machine_resumes_a_training(machines: Sequence[Mirror], bucket: Bucket) -> None:
    first, second = machines
    train_until_killed(first, 10)
    train_until_killed(second, 20)
    uploaded = [entry.key for entry in bucket.list("attempts")]
    assert uploaded
    assert not any("/train/" in key for key in uploaded)
    # A state replaces the one before, of which no file stays.
    assert len(uploaded) == len({key.rpartition("/")[2] for key in uploaded})
    # The state of the other machine is newer than that of this one.
    assert step_of(first) == ["20"]
    assert text_of(second) == "done"
    # A training that has ended leaves no state.
    assert bucket.list("attempts/models/.weak.training") == []
    assert step_of(second) == []


def test_the_state_is_saved_while_the_training_goes_on(
    machines: Sequence[Mirror], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training_state, "SECONDS_BETWEEN_LOOKS", 0.01)
    first, second = machines
    store = first.commits.store

    def train(out: Path) -> None:
        checkpoint(models(first).work("weak"), 10)
        end = time.monotonic() + 10
        while not store.list("attempts/models/.weak.training"):
            assert time.monotonic() < end
            time.sleep(0.01)
        write_model(out, "one")

    models(first).save("weak", train)
    assert text_of(second) == "one"


def test_a_state_that_cannot_be_saved_does_not_end_the_training(
    machines: Sequence[Mirror], bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = machines
    work = models(first).work("weak")

    def killed(_: Path) -> None:
        checkpoint(work, 10)
        bucket.is_down = True
        raise KeyboardInterrupt

    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        models(first).save("weak", killed)
    assert "its state is sent again" in caplog.text
    bucket.is_down = False
    # This machine has the state still.
    [lease] = [entry.key for entry in bucket.list("leases")]
    bucket.delete([lease])
    assert step_of(first) == ["10"]


def test_verify_reads_the_tables_of_the_store(machines: Sequence[Mirror], bucket: Bucket) -> None:
    first, second = machines
    rows = small_lake()["problems"]
    Lake(first.root / "lake", first).write(PROBLEMS, rows, "words", "00")
    home = Home(second.root, second, "store")
    findings = [finding for item in items_of(home) for finding in item.findings()]
    assert [finding for finding in findings if not finding.is_note] == []
    [attempt] = [entry.key for entry in bucket.list("attempts")]
    blob = bucket.get(attempt)
    assert blob is not None
    bucket.put(attempt, blob.data[:-40] + b"x" + blob.data[-39:])
    shutil.rmtree(second.root)
    damaged = [finding for item in items_of(home) for finding in item.findings()]
    assert [f.path for f in damaged if "is damaged" in f.problem] == [
        home.lake / "problems/words/00.parquet"
    ]


def test_what_waits_for_a_slow_store_goes_in_several_segments(
    machines: Sequence[Mirror], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SECONDS_BETWEEN_SEGMENTS", 60.0)
    with sampling(machines[0]) as journal:
        for number in range(50):
            record(journal, f"request {number}")
        monkeypatch.setattr(segments, "SEGMENT_BYTES", 10_000)
    sizes = [entry.size for entry in bucket.list("journals")]
    assert len(sizes) > 1
    assert max(sizes) < 15_000
    assert len(recorded(machines[1])) == 50


def test_a_damaged_lease_is_named(machines: Sequence[Mirror], bucket: Bucket) -> None:
    with sampling(machines[0]) as journal:
        record(journal, "a")
    [lease] = [entry.key for entry in bucket.list("leases")]
    bucket.put(lease, b"{")
    with pytest.raises(StoreError, match=r"leases/.*: is no lease of this pipeline: remove it"):
        recorded(machines[1])
