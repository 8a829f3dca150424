import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from dagster._utils.interrupts import capture_interrupts

from resources import processes
from resources.processes import ProcessIdentity, ends_as_interrupts


@pytest.fixture
def this() -> ProcessIdentity:
    identity = ProcessIdentity.of_this()
    assert identity is not None
    return identity


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", "print('here', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        yield process
        process.kill()


def identity_of(pid: int, this: ProcessIdentity) -> ProcessIdentity:
    status = processes._status(pid)
    assert status is not None
    return dataclasses.replace(this, pid=pid, started=status[1])


def test_this_process_runs_and_survives_json(this: ProcessIdentity) -> None:
    assert ProcessIdentity.from_json(this.to_json()) == this
    assert this.pid == os.getpid()
    assert this.state() == "running"


def test_a_killed_process_has_ended_even_if_nobody_noticed(
    this: ProcessIdentity, child: "subprocess.Popen[bytes]"
) -> None:
    identity = identity_of(child.pid, this)
    assert identity.state() == "running"
    child.kill()
    # Until its parent waits for it, the kernel keeps its number.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity.state() == "ended"
    child.wait()
    assert identity.state() == "ended"


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"started": 1}, "ended"),
        ({"boot": "an earlier start"}, "ended"),
        ({"boot": "of another machine", "host": "elsewhere"}, "unknown"),
        ({"boot": "of another machine", "machine": "other"}, "unknown"),
        ({"namespace": "pid:[1]"}, "unknown"),
    ],
    ids=["number used again", "restarted", "other host", "same name", "container"],
)
def test_no_other_process_is_mistaken(
    this: ProcessIdentity,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    state: str,
) -> None:
    place = ("vm", "machine-id", this.boot, this.namespace)
    monkeypatch.setattr(processes, "_place", lambda: place)
    here = dataclasses.replace(this, host="vm", machine="machine-id")
    assert here.state() == "running"
    assert dataclasses.replace(here, **change).state() == state  # type: ignore[arg-type]


def test_a_restarted_machine_without_an_identity_is_not_recognised(
    this: ProcessIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_place", lambda: ("vm", "", this.boot, this.namespace))
    earlier = dataclasses.replace(this, host="vm", machine="", boot="an earlier start")
    assert earlier.state() == "unknown"


@pytest.fixture
def without_nohup() -> Iterator[None]:
    """Give SIGHUP its default, as these tests may themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("without_nohup")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_as_ctrl_c_does(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def end() -> None:
        os.kill(os.getpid(), number)
        time.sleep(600)

    with ends_as_interrupts(), pytest.raises(KeyboardInterrupt):
        end()
    assert signal.getsignal(number) == before


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ends_as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("without_nohup")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_background_job_whose_sigint_is_ignored_ends_too(number: signal.Signals) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end() -> None:
        # After a run, Dagster gives SIGTERM the handler of SIGINT.
        with capture_interrupts():
            pass
        os.kill(os.getpid(), number)
        time.sleep(1)

    try:
        with ends_as_interrupts(), pytest.raises(KeyboardInterrupt):
            end()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
