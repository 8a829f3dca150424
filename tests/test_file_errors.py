"""What a full disk or a taken port prevents ends in one line; a fault of ours does not."""

import errno
import os
import socket
import tomllib
from pathlib import Path

import dagster as dg
import pytest

from cli.commands.ui import WORKSPACE, check_port
from cli.file_errors import file_error
from cli.stages import PlannedRun, _failure
from resources.storage.atomic import WriteError

ROOT = Path(__file__).parent.parent
FULL = os.strerror(errno.ENOSPC)


def error_of(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/home/lake/00.parquet")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (str(error_of(errno.ENOSPC)), f"/home/lake/00.parquet: {FULL}: free space"),
        (str(error_of(errno.EACCES)), "/home/lake/00.parquet: Permission denied: choose a folder"),
        (str(error_of(errno.ENOTDIR)), "/home/lake/00.parquet: Not a directory: a file is where"),
        (f"SafetensorError: I/O error: {FULL} (os error 28)", f"{FULL}: free space"),
        (str(error_of(errno.EBADF)), None),
        ("KeyError: 'Errno 28'", None),
    ],
)
def test_errors_of_the_file_system_are_recognized(message: str, line: str | None) -> None:
    found = file_error(message)
    assert found is None if line is None else (found or "").startswith(line)


@dg.op
def full_lake() -> None:
    """Fail as a write to a full disk does."""
    raise WriteError("/home/lake/00.parquet: cannot be written")


@dg.op
def full_disk() -> None:
    """Fail as a library does that opens a file by itself."""
    raise error_of(errno.ENOSPC)


@dg.op
def fault() -> None:
    """Fail by a fault of ours."""
    raise KeyError("text")


@dg.job
def failing() -> None:
    """Fail in three ways."""
    full_lake()
    full_disk()
    fault()


def test_a_step_that_the_disk_stops_fails_in_one_line() -> None:
    result = failing.execute_in_process(raise_on_error=False)
    failures = [_failure(PlannedRun((), ()), event) for event in result.get_step_failure_events()]
    by_step = {failure.step: failure for failure in failures}
    assert by_step["full_lake"].message == "/home/lake/00.parquet: cannot be written"
    assert by_step["full_disk"].message.startswith(f"/home/lake/00.parquet: {FULL}: free space")
    assert {step: failure.is_users for step, failure in by_step.items()} == {
        "full_lake": True,
        "full_disk": True,
        "fault": False,
    }
    assert "Stack Trace" in by_step["fault"].message


def test_a_taken_port_of_the_ui_is_named() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port {port}: Address already in use"):
            check_port(port)
    check_port(port)


def test_the_wheel_holds_the_workspace_where_the_ui_looks_for_it() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"]["force-include"] == {
        WORKSPACE.name: str(WORKSPACE.relative_to(ROOT))
    }
