"""Start the processes that draw side by side, and keep them for the next model.

A process takes seconds to import torch, and a small model a fraction of one to load.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shepherd.requests import Completion

THREADS = "OMP_NUM_THREADS"
"""The variable with the number of threads of a process."""


class CopyProcess:
    """A process of :mod:`resources.engines.copy_worker`, and the way to it.

    It and its children end when this process does: its side of the connection closes then.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        """What its environment has beside that of this process."""
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "resources.engines.copy_worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                    "PYTHONSAFEPATH": "1",
                    **self.variables,
                },
                # A group of its own, with which the processes of vLLM end; and no terminal, whose
                # signals are for this process.
                start_new_session=True,
            )
        self.connection = Connection(ours.detach())

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, by itself or by others."""
        return self._process.poll() is not None

    def send(self, message: tuple[object, ...]) -> None:
        """Send a message.

        Raises:
            ValueError: the process has ended.
        """
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._ended() from error

    def receive_done(self) -> None:
        """Wait until the process has opened or closed its engine, or has loaded other weights.

        Raises:
            ValueError: the engine refuses the checkpoint, or the process has ended.
        """
        refusal = self._receive()
        if refusal is not None:
            raise ValueError(refusal)

    def receive_completions(self) -> list[Completion]:
        """Return the next completions; wait for them.

        Raises:
            ValueError: the process has ended.
        """
        completions: list[Completion] = self._receive()
        return completions

    def end(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        self._kill()
        self._process.wait()

    def _kill(self) -> None:
        # macOS refuses where all processes of the group have ended.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _receive(self) -> Any:  # what a process sends depends on what it was sent
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._ended() from error

    def _ended(self) -> ValueError:
        status = self._process.wait()
        self._kill()
        fewer = (
            f"set {THREADS} to the number of cores to draw in one process"
            if THREADS in self.variables
            else "lower `copies`, of engine.vllm or of the model's own vllm"
        )
        return ValueError(
            f"a process that drew completions was ended (status {status}): what it printed last, "
            f"to logs/engines.log of the home, says why; for too little memory, {fewer}"
        )


_idle: list[CopyProcess] = []


def borrow(variables: Mapping[str, str]) -> CopyProcess:
    """Return an idle process with these variables, or start one."""
    for process in [each for each in _idle if each.variables == variables]:
        _idle.remove(process)
        if not process.has_ended:
            return process
        process.end()
    return CopyProcess(variables)


def give_back(process: CopyProcess) -> None:
    """Keep a process whose engine was closed for the next engine."""
    _idle.append(process)


@atexit.register
def end_idle_processes() -> None:
    """End the processes that draw nothing."""
    while _idle:
        _idle.pop().end()


# In a forked child they are the parent's.
os.register_at_fork(after_in_child=_idle.clear)
