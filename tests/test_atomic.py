"""Files and folders are replaced whole or not at all, also where writers are killed."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from resources.storage import atomic
from resources.storage.atomic import WriteError, replacing_file, replacing_folder

ID = "0" * 32
"""The id of another writer."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from resources.storage.atomic import replacing_file, replacing_folder
path = Path(sys.argv[1])
with replacing_file(path / "file") as file, replacing_folder(path / "folder") as folder:
    file.write(b"half")
    (folder / "a").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_writers_leave_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    subprocess.run(command, check=False, cwd=Path(__file__).parent.parent)
    (tmp_path / f".file.{ID}.tmp").write_text("of an earlier version")
    assert len(names(tmp_path)) == 4
    assert (tmp_path / "file").read_text() == "old"
    with replacing_file(tmp_path / "file") as file, replacing_folder(tmp_path / "folder") as folder:
        file.write(b"new")
        (folder / "a").write_text("new")
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "a").read_text() == "new"


def test_a_living_writer_keeps_its_files(tmp_path: Path) -> None:
    path = tmp_path / "[a]*"
    with replacing_file(path) as slow:
        slow.write(b"slow")
        with replacing_file(path) as quick:
            quick.write(b"quick")
        assert path.read_text() == "quick"
    assert path.read_text() == "slow"
    assert names(tmp_path) == [path.name]


def test_a_folder_that_a_killed_writer_had_moved_away_is_put_back(tmp_path: Path) -> None:
    scratch = tmp_path / f".folder.{ID}.tmp"
    (scratch / "old").mkdir(parents=True)
    (scratch / "old" / "a").write_text("old")
    (scratch / "lock").touch()
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "folder"):
        _ = 1 / 0
    assert names(tmp_path) == ["folder"]
    assert (tmp_path / "folder" / "a").read_text() == "old"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "failed")])
@pytest.mark.parametrize("is_link", [False, True])
def test_an_interrupt_between_the_two_renames_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, is_link: bool
) -> None:
    folder = tmp_path / "folder"
    (tmp_path / "target" if is_link else folder).mkdir()
    if is_link:
        folder.symlink_to("target")
    (folder / "a").write_text("old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises((KeyboardInterrupt, WriteError)), replacing_folder(folder) as new:
        (new / "a").write_text("new")
    assert names(tmp_path) == ["folder", "target"][: 1 + is_link]
    assert folder.is_symlink() == is_link
    assert (folder / "a").read_text() == "old"


def test_the_scratch_folder_of_a_longer_name_is_left_alone(tmp_path: Path) -> None:
    scratch = tmp_path / f".prm.v2.{ID}.tmp"
    (scratch / "old").mkdir(parents=True)
    (scratch / "lock").touch()
    with replacing_folder(tmp_path / "prm"):
        pass
    assert names(tmp_path) == [scratch.name, "prm"]
    with replacing_folder(tmp_path / "prm.v2"):
        pass
    assert names(tmp_path) == ["prm", "prm.v2"]


@pytest.mark.parametrize("content", ["", "new"])
def test_a_folder_whose_writer_was_killed_before_it_made_its_lock_is_removed(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / f".file.{ID}.tmp" / content).mkdir(parents=True)
    with replacing_file(tmp_path / "file"):
        pass
    assert names(tmp_path) == ["file"]


def test_a_writer_whose_empty_folder_is_swept_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.mkdir
    sweeps = iter([True])

    def swept(path: Path, **options: bool) -> None:
        made(path, **options)
        if path.name.endswith(".tmp") and next(sweeps, False):
            shutil.rmtree(path)

    monkeypatch.setattr(Path, "mkdir", swept)
    with replacing_file(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file"]


def test_the_scratch_folder_of_another_user_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / f".file.{ID}.tmp"
    scratch.mkdir()
    (scratch / "lock").touch()
    opened = Path.open

    def refuse(path: Path, mode: str = "r") -> object:
        if path.parent == scratch:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    with replacing_file(tmp_path / "file") as file:
        file.write(b"new")
    assert names(tmp_path) == [scratch.name, "file"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_wait_for_folders_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == is_refused_for_folders:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    is_refused_for_folders = True
    with replacing_folder(tmp_path / "folder") as folder:
        (folder / "a").touch()
    is_refused_for_folders = False
    with pytest.raises(OSError, match=os.strerror(number)):
        atomic.sync(tmp_path / "folder" / "a")


def test_files_are_on_the_disk_before_they_replace_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(atomic, "sync", lambda path: synced.append(path.relative_to(tmp_path)))
    with replacing_file(tmp_path / "file") as file:
        file.write(b"new")
    with replacing_folder(tmp_path / "folder") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").touch()
    kept = [Path(*path.parts[1:]) if path.parts[:1] else path for path in synced]
    expected = ["new", ".", "new/deep", "new/deep/a", "new", "."]
    assert kept == [Path(name) for name in expected]


@pytest.mark.parametrize("number", sorted(atomic.WAYS_OUT))
def test_errors_of_the_disk_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "file").write_text("old")

    def refuse(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic, "sync", refuse)
    with pytest.raises(WriteError) as error, replacing_file(tmp_path / "file") as file:
        file.write(b"new")
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'file'}: cannot be written: {os.strerror(number)}: ")
    assert "\n" not in message
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing_file(tmp_path / "file"):
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_a_file_that_cannot_be_read_is_not_called_one_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "/models/llama/model.safetensors")
    with pytest.raises(PermissionError), replacing_folder(tmp_path / "folder"):
        raise denied
    with pytest.raises(WriteError), replacing_folder(tmp_path / "folder") as new:
        raise PermissionError(errno.EACCES, "Permission denied", str(new / "a"))


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with (
        pytest.raises(WriteError, match=r"cannot be written: .*: a file is where a folder"),
        replacing_file(tmp_path / "home" / "a" / "file"),
    ):
        pass
