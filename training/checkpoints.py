"""Checkpoints from which a killed run goes on as if it had not been: same losses, same weights."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from shepherd.identity import content_id


def identity_of(base: str | Path) -> str:
    """Return what tells one base model from another: a hub name, or a folder's files as they are.

    Weights are told by size and time of change: reading 140 GB to hash them takes minutes.
    """
    folder = Path(base)
    if not folder.is_dir():
        return str(base)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    states = [(path.name, path.stat()) for path in files]
    return content_id(*(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states))


@dataclass(frozen=True)
class Checkpoints:
    """The latest checkpoint of one run, in ``folder``; another run's is never resumed.

    ``fingerprint`` is of all that decides what comes of the run: data, base, settings and seed.
    """

    folder: Path
    fingerprint: str

    def save(self, accelerator: Accelerator, progress: dict[str, Any]) -> None:
        """Replace the checkpoint by weights, optimizer and random states, and ``progress``.

        Every process calls it. Killed at any moment, it leaves a whole checkpoint or none.
        """
        written, retired = (
            self.folder.with_name(f"{self.folder.name}.{s}") for s in ("new", "old")
        )
        if accelerator.is_main_process:
            shutil.rmtree(written, ignore_errors=True)
        accelerator.wait_for_everyone()
        # It says of tied weights that it saves them once, at each checkpoint.
        logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
        accelerator.save_state(str(written))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            text = json.dumps({"fingerprint": self.fingerprint, **progress})
            (written / "progress.json").write_text(text)
            shutil.rmtree(retired, ignore_errors=True)
            if self.folder.is_dir():
                self.folder.rename(retired)
            written.rename(self.folder)
            shutil.rmtree(retired, ignore_errors=True)
        accelerator.wait_for_everyone()

    def restore(self, accelerator: Accelerator) -> dict[str, Any] | None:
        """Load the checkpoint into what ``accelerator`` has prepared; return its progress.

        None if there is none, or it is of a run with other data, base, settings or seed.
        """
        for folder in (self.folder, self._beside("old")):
            progress = folder / "progress.json"
            if not progress.is_file():
                continue
            found: dict[str, Any] = json.loads(progress.read_text())
            if found.pop("fingerprint") != self.fingerprint:
                return None
            accelerator.load_state(str(folder))
            return found
        return None

    def _beside(self, state: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{state}")
