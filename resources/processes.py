"""Find out whether a process still runs, and let this one end in order.

A process number alone does not identify a process: numbers are used again, and two machines may
share a home.
"""

import json
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, TypeAlias

PROC = Path("/proc")

Handler: TypeAlias = Callable[[int, FrameType | None], None]

State = Literal["running", "ended", "unknown"]


@dataclass(frozen=True)
class ProcessIdentity:
    """A process of this or another machine."""

    pid: int
    host: str
    """The name of the machine or container."""

    machine: str
    """Identifies the machine over restarts; empty if it has no such identity."""

    boot: str
    """Identifies one start of the machine."""

    namespace: str
    """Identifies the container: process numbers are unique in it."""

    started: int
    """When the process was started, in clock ticks since the start of the machine."""

    @classmethod
    def of_this(cls) -> "ProcessIdentity | None":
        """Return the identity of this process; None on systems without ``/proc``."""
        status = _status(os.getpid())
        if status is None:
            return None
        return cls(os.getpid(), *_place(), started=status[1])

    @classmethod
    def from_json(cls, text: str) -> "ProcessIdentity":
        """Read what :meth:`to_json` returned."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the identity as text, the process number first."""
        return json.dumps(asdict(self))

    def state(self) -> State:
        """Return whether the process runs; ``unknown`` in another container or machine.

        A process whose parent has not noticed its end has ended. All processes of this machine
        have ended that are older than its last start.
        """
        host, machine, boot, namespace = _place()
        if boot != self.boot:
            is_here = bool(machine) and (host, machine) == (self.host, self.machine)
            return "ended" if is_here else "unknown"
        if namespace != self.namespace:
            return "unknown"
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return "ended"
        except PermissionError:
            pass  # It runs, and belongs to another user.
        status = _status(self.pid)
        if status is None:
            return "unknown"
        letter, started = status
        return "running" if started == self.started and letter not in "ZX" else "ended"


def _place() -> tuple[str, str, str, str]:
    """Return host, machine, boot and namespace of this process."""
    return (
        platform.node(),
        _text(Path("/etc/machine-id")),
        _text(PROC / "sys/kernel/random/boot_id"),
        str((PROC / "self/ns/pid").readlink()),
    )


def _status(pid: int) -> tuple[str, int] | None:
    """Return the state's letter of a process and when it was started; None if that is hidden.

    Source: ``man 5 proc_pid_stat``, fields 3 and 22. The name before them may hold anything.
    """
    text = _text(PROC / str(pid) / "stat")
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


@contextmanager
def ends_as_interrupts() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP, which a closed terminal sends, as Ctrl-C.

    Without this they end the process at once, and nothing says that its run has ended. A SIGHUP
    that is ignored, as under nohup, stays ignored. An ignored SIGINT, as in a background job of a
    script, interrupts meanwhile: Dagster gives SIGTERM the handler that SIGINT had before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Handler] = {signal.SIGTERM: _interrupt}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = _interrupt
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        handlers[signal.SIGINT] = signal.default_int_handler
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # What Ctrl-C does at this moment is up to Dagster, which changes the handler of SIGINT.
    os.kill(os.getpid(), signal.SIGINT)
