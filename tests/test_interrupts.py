import os
import signal
import time
import weakref

import pytest

from cli.interrupts import interrupts_kept


class Connection:
    """An object whose weakref callback is interrupted, as SQLAlchemy's are at times."""


def interrupt(_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass


def test_an_interrupt_that_python_discards_is_sent_again() -> None:
    connection = Connection()
    reference = weakref.ref(connection, interrupt)
    with interrupts_kept():
        del connection
        assert reference() is None
        with pytest.raises(KeyboardInterrupt):
            time.sleep(600)


def test_other_exceptions_of_callbacks_are_reported_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    def fail(_: object) -> None:
        raise OSError("gone")

    connection = Connection()
    reference = weakref.ref(connection, fail)
    with interrupts_kept():
        del connection
    assert reference() is None
    assert len(reported) == 1
