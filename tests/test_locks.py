"""Locks on files, between real processes."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.storage.locks import file_lock

HOLD = """
import sys, time
from pathlib import Path
from resources.storage.locks import file_lock
with file_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""

COUNT = """
import sys
from pathlib import Path
from resources.storage.locks import file_lock
lock, counter = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(100):
    with file_lock(lock):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def start(script: str, *arguments: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )


@contextmanager
def holder(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with start(HOLD, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def test_a_lock_of_another_process_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "words" / "00.lock"
    with (
        holder(path),
        pytest.raises(ValueError, match=r"00\.lock: somebody is here: wait"),
        file_lock(path, refusal="somebody is here: wait"),
    ):
        pass


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, end: signal.Signals) -> None:
    path = tmp_path / "00.lock"
    with holder(path) as process:
        process.send_signal(end)
        process.wait()
        assert path.exists()
        with file_lock(path, refusal="somebody is here"):
            assert path.exists()
    assert not path.exists()


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "00.lock"
    with holder(path) as first, start(HOLD, path) as second:
        assert first.stdin is not None
        assert second.stdin is not None
        assert second.stdout is not None
        first.stdin.close()
        assert second.stdout.readline() == b"locked\n"
        assert first.wait() == 0
        second.stdin.close()
    assert not path.exists()


def test_no_two_processes_have_a_lock_although_its_file_is_removed_each_time(
    tmp_path: Path,
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [start(COUNT, tmp_path / "lock", counter) for _ in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert counter.read_text() == "300"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


def test_a_lock_of_another_user_is_refused_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "00.lock"
    opened, unlinked = os.open, Path.unlink

    def refuse_writing(file: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR and file == path and path.exists():
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return opened(file, flags, mode)

    def refuse_removing(file: Path, missing_ok: bool = False) -> None:
        if file == path:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(file))
        unlinked(file, missing_ok)

    with holder(path) as process, monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse_writing)
        patch.setattr(Path, "unlink", refuse_removing)
        refusal = "another run draws"
        with pytest.raises(ValueError, match=refusal), file_lock(path, refusal=refusal):
            pass
        process.kill()
        process.wait()
        with file_lock(path, refusal=refusal):
            pass


def test_a_folder_in_which_no_lock_can_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, *_: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(ValueError, match=r"00\.lock: cannot be written: .*: choose a folder"),
        file_lock(tmp_path / "00.lock", refusal="another run draws"),
    ):
        pass


def test_a_forked_process_does_not_prolong_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "00.lock"
    with file_lock(path):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        with file_lock(path, refusal="somebody is here"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
