import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.interrupts import capture_interrupts

from cli import app, interrupts
from cli.interrupts import KeptInterrupts, raise_if_interrupted
from cli.progress import MakeAgain
from cli.stages import run_stages
from resources.processes import ends_as_interrupts

ROOT = Path(__file__).parent.parent
HANGS_S = 1_800


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(interrupts, "SECONDS_BEFORE_RETRY", 0.1)
    # Under nohup it is ignored, and would stay so.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Connection:
    """An object whose weakref callback is interrupted, as SQLAlchemy's are at times."""


def end(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    for _ in range(1000):
        pass


def discard_in_callback(number: signal.Signals) -> None:
    """Receive a signal in a weakref callback, whose exceptions Python discards."""
    connection = Connection()
    reference = weakref.ref(connection, lambda _: end(number))
    del connection
    assert reference() is None


def discard_in_dagster(number: signal.Signals) -> None:
    """Receive a signal behind the last step of a run: Dagster clears its note of it."""
    with capture_interrupts():
        end(number)


def discard_in_library(number: signal.Signals) -> None:
    """Receive a signal where a library catches everything."""
    with contextlib.suppress(BaseException):
        end(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("discard", [discard_in_callback, discard_in_dagster, discard_in_library])
def test_an_interrupt_that_is_discarded_is_sent_again(
    discard: object, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    def go_on() -> None:
        assert callable(discard)
        discard(number)
        time.sleep(600)

    with ends_as_interrupts(), pytest.raises(KeyboardInterrupt), KeptInterrupts():
        go_on()
    assert capfd.readouterr().err == ""
    with KeptInterrupts():
        raise_if_interrupted()


def test_an_error_that_an_interrupt_caused_is_an_interrupt() -> None:
    """DuckDB ends a query by an error of its own when Ctrl-C comes."""

    def query() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(600)
        except KeyboardInterrupt:
            time.sleep(0.01)
            raise RuntimeError("Query interrupted") from None

    with pytest.raises(KeyboardInterrupt), KeptInterrupts():
        query()
    with pytest.raises(RuntimeError, match="other"), KeptInterrupts():
        raise RuntimeError("other")


def test_a_run_that_noted_an_interrupt_ends_before_the_next() -> None:
    def two_runs() -> None:
        discard_in_library(signal.SIGINT)
        time.sleep(0.01)
        raise_if_interrupted()
        raise AssertionError

    with pytest.raises(KeyboardInterrupt), KeptInterrupts():
        two_runs()
    # What this process runs next was not asked to end.
    raise_if_interrupted()


def test_a_step_that_fails_by_an_interrupt_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "SECONDS_BEFORE_RETRY", 600)

    @dg.asset(group_name="problems")
    def queried() -> None:
        discard_in_library(signal.SIGINT)
        raise RuntimeError("Query interrupted")

    definitions = dg.Definitions([queried])
    with dg.DagsterInstance.ephemeral() as instance:
        progress = MakeAgain(instance, definitions, [])
        with pytest.raises(KeyboardInterrupt), KeptInterrupts():
            run_stages(definitions, instance, progress, {queried.key})


def test_a_forked_child_does_not_interrupt_its_parent() -> None:
    with KeptInterrupts():
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
        _, status = os.waitpid(pid, 0)
        time.sleep(0.05)
        raise_if_interrupted()
    assert os.waitstatus_to_exitcode(status) == 7


def test_other_exceptions_of_callbacks_are_reported_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    def fail(_: object) -> None:
        raise OSError("gone")

    connection = Connection()
    reference = weakref.ref(connection, fail)
    with KeptInterrupts():
        del connection
    assert reference() is None
    assert len(reported) == 1


def test_a_command_ends_in_one_line_whatever_an_interrupt_became(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        discard_in_library(signal.SIGTERM)
        time.sleep(0.01)
        raise ValueError("Query interrupted")

    monkeypatch.setattr("cli.pipeline.run_pipeline", interrupted)
    monkeypatch.setattr("cli.commands.run.prepare_dagster_home", lambda _: None)
    monkeypatch.setattr("atexit.register", lambda _: None)
    before = dict(os.environ)
    try:
        assert app.main(["run", "--profile", "tiny", "--home", "unused"]) == app.INTERRUPTED
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert capfd.readouterr() == (f"\nStopped. {app.RESUMES}\n", "")


def test_an_interrupt_while_the_command_is_imported_prints_no_traceback() -> None:
    code = (
        "import signal, sys\n"
        "from cli.__main__ import command\n"
        "class Interrupted:\n"
        "    def find_spec(self, *_):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "command()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False, timeout=HANGS_S
    )
    assert (result.returncode, result.stderr) == (130, b"")
