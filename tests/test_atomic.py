"""Files and folders are replaced whole or not at all, also where writers are killed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resources.storage import atomic
from resources.storage.atomic import WriteError, replacing_file, replacing_folder


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
    (tmp_path / ".file.0123.tmp").write_text("of an earlier version")
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
    scratch = tmp_path / ".folder.0123.tmp"
    (scratch / "old").mkdir(parents=True)
    (scratch / "old" / "a").write_text("old")
    (scratch / "lock").touch()
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "folder"):
        _ = 1 / 0
    assert names(tmp_path) == ["folder"]
    assert (tmp_path / "folder" / "a").read_text() == "old"


def test_files_are_on_the_disk_before_they_replace_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(atomic, "_sync", lambda path: synced.append(path.relative_to(tmp_path)))
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

    monkeypatch.setattr(atomic, "_sync", refuse)
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


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with (
        pytest.raises(WriteError, match=r"cannot be written: .*: a file is where a folder"),
        replacing_file(tmp_path / "home" / "a" / "file"),
    ):
        pass
