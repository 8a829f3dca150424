"""A run of the benchmark ends at the rename that it is to end at."""

import multiprocessing
import signal
from pathlib import Path

import pytest

from benchmarks.kill_chain import KillAtRename
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
