"""Find processes that a benchmark has left behind."""

import contextlib
import os
import re
from pathlib import Path

PARENT = re.compile(r"^PPid:\s*(\d+)", re.MULTILINE)
"""The line of ``/proc/PID/status`` with the process that started it."""


def processes_of(folder: Path) -> list[int]:
    """Return the processes that have a folder in their command or environment.

    This one and its children are left out: they are servers that end with it.
    """
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            texts = ((process / name).read_bytes() for name in ("cmdline", "environ"))
            parent = PARENT.search((process / "status").read_text())
            is_ours = parent is not None and int(parent[1]) == os.getpid()
            if not is_ours and any(os.fsencode(folder) in text for text in texts):
                pids.append(int(process.name))
    return [pid for pid in pids if pid != os.getpid()]
