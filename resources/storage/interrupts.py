"""Let another thread interrupt the main one, as Dagster does on Ctrl-C."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dagster import DagsterExecutionInterruptedError


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yield a function by which another thread interrupts the body.

    Dagster's own exception lets the body end the processes that it has started. Only a body in the
    main thread can be interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    # Not SIGINT, which the command line would take for Ctrl-C.
    before = signal.signal(signal.SIGUSR1, _interrupt)
    try:
        yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise DagsterExecutionInterruptedError
