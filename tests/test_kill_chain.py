"""A run of the benchmark ends at the rename that it is to end at, and leaves no process."""

import multiprocessing
import os
import signal
import subprocess
from pathlib import Path

import pytest

from benchmarks.kill_chain import KillAtRename
from benchmarks.leftovers import processes_of
from resources.storage.atomic import replacing_file


def write_twice(path: Path, kill: KillAtRename) -> None:
    kill.install()
    for content in (b"first", b"second"):
        with replacing_file(path) as file:
            file.write(content)


@pytest.mark.parametrize(
    ("number", "is_after", "content"),
    [(1, False, None), (1, True, "first"), (2, False, "first"), (2, True, "second")],
)
def test_a_process_is_killed_before_or_after_a_rename(
    tmp_path: Path, number: int, is_after: bool, content: str | None
) -> None:
    path = tmp_path / "file"
    process = multiprocessing.get_context("fork").Process(
        target=write_twice, args=(path, KillAtRename(number, is_after))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (path.read_text() if path.exists() else None) == content


def test_a_process_that_a_killed_one_has_left_is_found_and_servers_are_not(tmp_path: Path) -> None:
    # Both sleep; the folder is in the environment of both.
    script = "sleep 60 & echo $!; exec sleep 60"
    with subprocess.Popen(
        ["sh", "-c", script], env={"FOLDER": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        left = int(server.stdout.readline())
        try:
            assert processes_of(tmp_path) == [left]
        finally:
            os.kill(left, signal.SIGKILL)
            server.kill()
    assert processes_of(tmp_path) == []
