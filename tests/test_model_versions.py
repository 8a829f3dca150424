"""Models are replaced in one step, under a lock, and refused if their files change."""

import errno
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from resources.storage import atomic, model_versions
from resources.storage.atomic import WriteError
from resources.storage.model_store import ModelStore
from resources.storage.model_versions import VERSIONS
from tests.versions import save, versions, write_model

FORK = multiprocessing.get_context("fork")


def content(store: ModelStore) -> str:
    return (store.path("weak") / "model.safetensors").read_text()


def test_a_model_is_a_link_to_a_version_under_its_hash(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    first = save(store, "one")
    assert store.link("weak").is_symlink()
    assert store.link("weak").readlink() == Path(VERSIONS, "weak", first.name)
    second = save(store, "two")
    assert first.name != second.name
    # The version before stays for those who read it, until the next is written.
    assert versions(store) == sorted([first.name, second.name])
    third = save(store, "three")
    assert versions(store) == sorted([second.name, third.name])
    assert save(store, "three") == third
    assert content(store) == "three"


def test_a_copied_home_holds_the_same_models(tmp_path: Path) -> None:
    folder = save(ModelStore(tmp_path / "home"), "one")
    shutil.copytree(tmp_path / "home", tmp_path / "copy", symlinks=True)
    shutil.copytree(tmp_path / "home", tmp_path / "plain")
    shutil.rmtree(tmp_path / "home")
    assert ModelStore(tmp_path / "copy").path("weak").name == folder.name
    for name in ("copy", "plain"):
        store = ModelStore(tmp_path / name)
        assert content(store) == "one"
        save(store, "two")
        assert content(store) == "two"
        assert store.link("weak").is_symlink()


def test_a_plain_folder_of_an_earlier_version_goes_on_and_is_converted(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    (tmp_path / "weak").mkdir()
    write_model(tmp_path / "weak", "old")
    assert content(store) == "old"

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save("weak", interrupted)
    assert store.link("weak").is_symlink()
    assert content(store) == "old"
    assert versions(store) == [store.path("weak").name]


@pytest.mark.parametrize(("left", "kept"), [(("old", "new"), "new"), (("old",), "old")])
def test_a_model_that_an_earlier_version_lost_between_two_renames_comes_back(
    tmp_path: Path, left: tuple[str, ...], kept: str
) -> None:
    for state in left:
        folder = tmp_path / f".weak.{'0' * 32}.{state}"
        folder.mkdir()
        write_model(folder, state)
    unfinished = tmp_path / f".weak.{'1' * 32}.new"
    unfinished.mkdir()
    store = ModelStore(tmp_path)

    def failing(_: Path) -> None:
        raise ValueError("no examples")

    with pytest.raises(ValueError, match="no examples"):
        store.save("weak", failing)
    assert content(store) == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == [VERSIONS, "weak"]


def test_eight_changed_bytes_are_found(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    weights = save(store, "0" * 64) / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(16)
        file.write(b"12345678")
    with pytest.raises(ValueError, match="have changed since it was trained") as refused:
        store.path("weak")
    assert "materialize the asset weak again" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert save(store, "0" * 64) == weights.parent
    assert content(store) == "0" * 64


def test_a_renamed_file_and_a_new_one_are_found_and_notes_do_not_matter(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    folder = save(store, "one")
    (folder / "README.md").write_text("Mine.")
    store.path("weak")
    (folder / "chat_template.jinja").write_text("{{ x }}")
    with pytest.raises(ValueError, match="have changed"):
        store.path("weak")
    (folder / "chat_template.jinja").unlink()
    (folder / "config.json").rename(folder / "other.json")
    with pytest.raises(ValueError, match="have changed"):
        store.path("weak")


def test_a_deleted_model_is_not_trained(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    save(store, "one")
    store.link("weak").unlink()
    with pytest.raises(ValueError, match="materialize the asset weak first"):
        store.path("weak")


def test_a_copy_without_links_says_how_the_model_comes_back(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    version = save(store, "one")
    store.link("weak").unlink()
    with pytest.raises(ValueError, match="link is missing") as error:
        store.path("weak")
    command = re.search("`(ln -s .*)`", str(error.value))
    assert command is not None
    subprocess.run(command[1].split(), check=True)
    assert store.path("weak") == version


@pytest.mark.parametrize("step", ["weights_identity", "sync"])
@pytest.mark.parametrize("end", ["interrupt", "kill", "full disk"])
def test_what_a_training_resumes_from_stays_until_the_model_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, end: str
) -> None:
    store = ModelStore(tmp_path)
    checkpoint = store.work("weak") / "checkpoint"
    checkpoint.mkdir(parents=True)

    def ending(*_: object, **__: object) -> None:
        if end == "interrupt":
            raise KeyboardInterrupt
        if end == "full disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        os._exit(9)

    with monkeypatch.context() as patch:
        patch.setattr(model_versions, step, ending)
        if end == "kill":
            started(save, store, "one").join()
        else:
            with pytest.raises((KeyboardInterrupt, WriteError)):
                save(store, "one")
    assert checkpoint.is_dir()
    save(store, "one")
    assert content(store) == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == [VERSIONS, "weak"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_links_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    begun: list[Path] = []
    with pytest.raises(WriteError, match="has no links, by which models are replaced: choose"):
        ModelStore(tmp_path).save("weak", begun.append)
    assert begun == []


def test_a_base_that_cannot_be_read_is_not_called_one_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/models/llama/model.safetensors")

    with pytest.raises(PermissionError):
        ModelStore(tmp_path).save("weak", denied)


def test_a_version_is_on_the_disk_before_the_link_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def note(path: Path) -> None:
        link = tmp_path / "weak"
        synced.append(f"{path.relative_to(tmp_path)} {'linked' if link.exists() else 'not linked'}")

    with monkeypatch.context() as patch:
        for module in (atomic, model_versions):
            patch.setattr(module, "sync", note)
        # Otherwise it remembers digests, in files that are written and flushed on their own.
        patch.setattr(model_versions, "weights_identity", lambda *_, **__: "4c0d")
        save(ModelStore(tmp_path), "one")
    assert sorted(synced[:2]) == [
        f"{VERSIONS}/weak/.new/{name} not linked" for name in ("config.json", "model.safetensors")
    ]
    assert synced[2:] == [
        f"{VERSIONS}/weak/.new not linked",
        f"{VERSIONS}/weak not linked",
        f"{VERSIONS} not linked",
        ". linked",
    ]


def started(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = FORK.Process(target=target, args=arguments)
    process.start()
    return process


def save_slowly(root: Path, name: str, log: Path) -> None:
    def write(folder: Path) -> None:
        with log.open("a") as file:
            file.write(f"{name} begins\n")
        time.sleep(0.3)
        write_model(folder, name)
        with log.open("a") as file:
            file.write(f"{name} ends\n")

    ModelStore(root).save("weak", write)


def test_two_trainings_of_one_model_take_turns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [started(save_slowly, tmp_path / "models", name, log) for name in ("a", "b")]
    for process in processes:
        process.join()
    first, second = (line.split()[0] for line in log.read_text().splitlines()[::2])
    assert log.read_text() == "".join(f"{n} begins\n{n} ends\n" for n in (first, second))
    assert content(ModelStore(tmp_path / "models")) == second


def test_the_second_says_that_it_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "log"
    process = started(save_slowly, tmp_path / "models", "a", log)
    while not log.exists():
        time.sleep(0.01)
    save(ModelStore(tmp_path / "models"), "b")
    process.join()
    [line] = caplog.messages
    assert "another process trains this model: waiting until it ends" in line


def save_for_ever(root: Path) -> None:
    store = ModelStore(root)
    for number in range(10**6):
        save(store, str(number))


def test_there_is_a_whole_model_at_every_moment_and_after_every_kill(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    save(store, "first")
    for kill in range(8):
        process = started(save_for_ever, tmp_path)
        end = time.monotonic() + 0.05 + 0.013 * kill
        while time.monotonic() < end:
            assert (store.link("weak") / "model.safetensors").read_text()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert content(store)
    last = save(store, "last")
    assert content(store) == "last"
    assert len(versions(store)) <= 2
    assert last.name in versions(store)
    assert sorted(path.name for path in tmp_path.iterdir()) == [VERSIONS, "weak"]


@pytest.mark.parametrize("calls", range(1, 4))
def test_a_death_between_any_two_steps_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    store = ModelStore(tmp_path)
    (tmp_path / "weak").mkdir()
    write_model(tmp_path / "weak", "old")
    done = 0

    def dying(name: str) -> Callable[..., Path]:
        original = getattr(Path, name)

        def step(*arguments: object) -> Path:
            nonlocal done
            done += 1
            if done == calls:
                raise SystemExit
            return original(*arguments)  # type: ignore[no-any-return]

        return step

    with monkeypatch.context() as patch:
        patch.setattr(model_versions.shutil, "rmtree", lambda *_, **__: None)
        for name in ("rename", "replace"):
            patch.setattr(Path, name, dying(name))
        with pytest.raises(SystemExit):
            save(store, "new")
    assert content(store) == "old"
    save(store, "newer")
    assert content(store) == "newer"
    assert sorted(path.name for path in tmp_path.iterdir()) == [VERSIONS, "weak"]
