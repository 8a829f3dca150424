"""Let no Ctrl-C be lost while a command runs."""

import os
import signal
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTS = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")
"""The exceptions that Python and Dagster raise in their handlers of SIGINT."""

ENDINGS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""The signals that ask a process to end."""

SECONDS_BEFORE_RETRY = 5.0
"""Time to clean up before SIGINT is sent again."""

_RECEIVED = threading.Event()
"""Whether this process was asked to end while interrupts are kept."""


class KeptInterrupts:
    """End a block by KeyboardInterrupt once this process has received a signal to end.

    A signal's exception is raised wherever the main thread happens to be, and is lost in many
    places. Python discards it in weakref callbacks. Dagster clears the note of it at the end of a
    run. Libraries catch it by a bare ``except``, or turn it into an error of their own, as DuckDB
    does. So a thread notes each signal, and sends SIGINT again until the block has ended.
    """

    def __enter__(self) -> None:
        """Note signals from now on; in another thread than the main one there are none."""
        self._is_main = threading.current_thread() is threading.main_thread()
        if not self._is_main:
            return
        _RECEIVED.clear()
        self._has_ended = threading.Event()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._hook_before, sys.unraisablehook = sys.unraisablehook, self._report_unraisable
        self._thread = threading.Thread(target=self._watch, name="interrupts", daemon=True)
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop noting signals.

        Raises:
            KeyboardInterrupt: an exception left the block after a signal to end.
        """
        if not self._is_main:
            return
        self._has_ended.set()
        signal.set_wakeup_fd(self._fd_before)
        sys.unraisablehook = self._hook_before
        os.write(self._writer, bytes(1))
        self._thread.join()
        os.close(self._writer)
        os.close(self._reader)
        was_received = _RECEIVED.is_set()
        # What runs next in this process is not asked to end.
        _RECEIVED.clear()
        if error is not None and kind is not KeyboardInterrupt and was_received:
            raise KeyboardInterrupt from error

    def _watch(self) -> None:
        """Note the first signal, then send SIGINT at intervals until the block has ended."""
        while not self._has_ended.is_set():
            # Python writes the numbers of received signals, whatever their handlers are.
            if not ENDINGS.isdisjoint(os.read(self._reader, 1)):
                _RECEIVED.set()
                while not self._has_ended.wait(SECONDS_BEFORE_RETRY):
                    os.kill(os.getpid(), signal.SIGINT)

    def _report_unraisable(self, unraisable: "UnraisableHookArgs") -> None:
        # A discarded interrupt comes again: there is nothing to report.
        if unraisable.exc_type.__name__ not in INTERRUPTS:
            self._hook_before(unraisable)


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if this process was asked to end while interrupts are kept."""
    if _RECEIVED.is_set():
        raise KeyboardInterrupt


def _forget() -> None:
    # A forked child would write its own signals into the pipe of its parent.
    signal.set_wakeup_fd(-1)
    _RECEIVED.clear()


os.register_at_fork(after_in_child=_forget)
