"""Save the state of a training to a store while it runs, so that another machine resumes it.

Trainers save checkpoints in their work folder and know nothing of stores. A thread uploads each
new one. Token files are made anew on each machine.
"""

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.storage.atomic import replacing_file
from resources.storage.commits import Commits, ConflictError
from resources.storage.file_sets import content_of, files_below
from resources.storage.leases import Lease, LeaseLostError
from resources.storage.store import StoreError

STATE = ("checkpoint", "state.safetensors", "metrics.jsonl", "runs")
"""Files and folders of a work folder from which a training resumes."""

WRITTEN_LAST = ("checkpoint/progress.json", "metrics.jsonl")
"""A new one of these files is a new state."""

SECONDS_BETWEEN_LOOKS = 5.0

_ATTEMPT = ".attempt"
"""The file in a work folder that names the attempt of its state in the store."""

_log = logging.getLogger(__name__)


def restore_state(commits: Commits, key: str, work: Path) -> None:
    """Replace the state in a work folder by the one in the store, if another machine saved that.

    A state that was saved before, while the store has none now, is of a training that has ended.
    """
    commit, mark = commits.current(key), work / _ATTEMPT
    known = mark.read_text(encoding="utf-8") if mark.is_file() else ""
    if known == (commit.attempt if commit else ""):
        return
    for name in STATE:
        path = work / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    mark.unlink(missing_ok=True)
    if commit:
        commits.pull(key, commit, work)
        mark.write_text(commit.attempt, encoding="utf-8")


@contextmanager
def saving_state(commits: Commits, key: str, work: Path, lease: Lease) -> Iterator[None]:
    """Upload each new state of a work folder during the body."""
    is_closed = threading.Event()
    saved = _stamp(work)

    def save_new() -> None:
        nonlocal saved
        stamp = _stamp(work)
        if stamp != saved and _save(commits, key, work, lease):
            saved = stamp

    def save_again() -> None:
        while not is_closed.wait(SECONDS_BETWEEN_LOOKS):
            save_new()

    saver = threading.Thread(target=save_again, daemon=True)
    saver.start()
    is_done = False
    try:
        yield
        is_done = True
    finally:
        is_closed.set()
        saver.join()
        if not (is_done or lease.is_lost):
            save_new()


def _save(commits: Commits, key: str, work: Path, lease: Lease) -> bool:
    """Upload the state; return whether it is a whole one and is there now."""
    snapshot = work / ".snapshot"
    shutil.rmtree(snapshot, ignore_errors=True)
    stamp = _stamp(work)
    try:
        for name, path in files_below(work).items():
            if name.split("/")[0] in STATE:
                _add(path, snapshot / name)
        files = files_below(snapshot)
        if stamp != _stamp(work) or not files:
            # The trainer has replaced its checkpoint meanwhile.
            return False
        old = commits.current(key)
        commit = commits.push(key, files, content_of(files), lease)
        with replacing_file(work / _ATTEMPT) as file:
            file.write(commit.attempt.encode())
        if old is not None and old.attempt != commit.attempt:
            # They are large, and the next holder of the lease reads the latest alone.
            commits.discard(key, old)
    except FileNotFoundError:
        return False
    except LeaseLostError:
        # The training is stopped, with a line of its own.
        return False
    except (StoreError, ConflictError, OSError) as error:
        _log.warning("%s: the training goes on, and its state is sent again", error)
        return False
    finally:
        shutil.rmtree(snapshot, ignore_errors=True)
    return True


def _add(path: Path, copy: Path) -> None:
    """Add a file to a snapshot. Trainers replace files, but append to their curves."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.name == "runs":
        shutil.copyfile(path, copy)
    else:
        os.link(path, copy)


def _stamp(work: Path) -> list[tuple[int, int]]:
    """Return what changes when a trainer has saved a new state."""
    paths = [work / name for name in WRITTEN_LAST]
    statuses = [path.stat() for path in paths if path.is_file()]
    return [(status.st_ino, status.st_mtime_ns) for status in statuses]
