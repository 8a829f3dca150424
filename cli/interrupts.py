"""Keep Ctrl-C from being lost while a run goes on."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTS = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")
"""The exceptions that Python and Dagster raise in their handlers of SIGINT."""

SECONDS_BEFORE_RETRY = 0.1
"""Time for the callback that discarded an interrupt to end."""


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Send SIGINT again if Python discards the interrupt that it caused.

    A signal's exception is raised wherever the main thread happens to be. Inside a weakref
    callback or a finalizer, such as those of SQLAlchemy's connections, Python reports it as
    unraisable and goes on, and so would the run.
    """
    before = sys.unraisablehook

    def send_again(unraisable: "UnraisableHookArgs") -> None:
        if unraisable.exc_type.__name__ in INTERRUPTS:
            retry = threading.Timer(SECONDS_BEFORE_RETRY, os.kill, (os.getpid(), signal.SIGINT))
            retry.daemon = True
            retry.start()
        else:
            before(unraisable)

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = before
