"""A training replaces a checkpoint in one step, and no two trainings write one."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.storage.model_store import ModelStore
from resources.storage.model_versions import VERSIONS, lock_of
from tests.versions import save, write_model
from training import outputs
from training.outputs import check_out, remove_work, replacing_checkpoint, training_alone
from training.runs import work_folder_of

FORK = multiprocessing.get_context("fork")


@pytest.mark.parametrize("name", ["notes.md", "labels.parquet", "src"])
def test_other_files_are_never_replaced(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, "one")
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "runs").mkdir()
    check_out(tmp_path)
    check_out(tmp_path / "new")
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"holds {name}, which is no file of a checkpoint: name"):
        check_out(tmp_path)
    with pytest.raises(ValueError, match=r"holds config\.json, which is no file"):
        check_out(tmp_path / "config.json")


def test_two_trainings_whose_folders_are_crossed_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[str] = []

    @contextmanager
    def noted(path: Path) -> Iterator[None]:
        locked.append(path.name)
        yield

    monkeypatch.setattr(outputs, "waiting_lock", noted)
    (tmp_path / "link").symlink_to(".")
    for out, work in (("a", ".b.training"), ("b", ".a.training"), ("a", "link/.a.training")):
        with training_alone(tmp_path / out, tmp_path / work):
            pass
    assert locked == [".a.training.lock", ".b.training.lock"] * 2 + [".a.training.lock"]


def test_the_work_folder_of_a_home_is_locked_and_removed_by_its_store(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    work = store.work("weak")
    work.mkdir()

    def train(out: Path) -> None:
        assert lock_of(work).exists()
        with training_alone(out, work), replacing_checkpoint(out) as new:
            write_model(new, "one")
        remove_work(work, out)
        assert work.is_dir()

    store.save("weak", train)
    assert not work.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [VERSIONS, "weak"]
    work.mkdir()
    remove_work(work, tmp_path / "out")
    assert not work.exists()


def test_a_model_of_a_home_becomes_a_new_version(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    first = save(store, "one")
    with replacing_checkpoint(store.link("weak")) as out:
        write_model(out, "two")
    assert store.path("weak") != first
    assert (store.path("weak") / "model.safetensors").read_text() == "two"
    with replacing_checkpoint(tmp_path / "plain") as out:
        write_model(out, "three")
    assert not (tmp_path / "plain").is_symlink()


def train_slowly(out: Path, work: Path, log: Path) -> None:
    with training_alone(out, work), log.open("a") as file:
        file.write("begins\n")
        file.flush()
        time.sleep(0.3)
        file.write("ends\n")


@pytest.mark.parametrize("is_same", ["out", "work"])
def test_two_trainings_into_one_folder_take_turns(tmp_path: Path, is_same: str) -> None:
    outs = [tmp_path / ("out" if is_same == "out" else str(index)) for index in range(2)]
    works = [tmp_path / "work" if is_same == "work" else work_folder_of(out) for out in outs]
    log = tmp_path / "log"
    processes = [
        FORK.Process(target=train_slowly, args=(out, work, log))
        for out, work in zip(outs, works, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert log.read_text() == "begins\nends\n" * 2
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
