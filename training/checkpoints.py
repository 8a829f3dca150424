"""Save and restore checkpoints, so that a killed run resumes with the same losses and weights."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from resources.storage.atomic import sync, sync_folder


@dataclass(frozen=True)
class Checkpoints:
    """The latest checkpoint of one run; the checkpoint of another run is never restored."""

    folder: Path
    fingerprint: str
    """Hash of all that losses and weights depend on: data, base, settings and seed."""

    def save(self, accelerator: Accelerator, progress: Mapping[str, object]) -> None:
        """Replace the checkpoint by weights, optimizer and random states, and ``progress``.

        ``progress`` is what the run had done, as JSON holds it. Every process must call this. A
        kill or a power cut at any moment leaves a complete checkpoint, or none if none was complete
        before. All processes write to one folder, so its name is fixed, unlike that of
        :func:`resources.storage.atomic.replacing_folder`.
        """
        written, retired = self._beside("new"), self._beside("old")
        if accelerator.is_main_process:
            shutil.rmtree(written, ignore_errors=True)
        accelerator.wait_for_everyone()
        # At each checkpoint it warns that tied weights are saved once.
        logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
        accelerator.save_state(str(written))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            text = json.dumps({"fingerprint": self.fingerprint, **progress})
            (written / "progress.json").write_text(text)
            sync_folder(written)
            shutil.rmtree(retired, ignore_errors=True)
            if self.folder.is_dir():
                self.folder.rename(retired)
            written.rename(self.folder)
            sync(self.folder.parent)
            shutil.rmtree(retired, ignore_errors=True)
        accelerator.wait_for_everyone()

    def restore(self, accelerator: Accelerator) -> dict[str, Any] | None:
        """Load the checkpoint into the objects that ``accelerator`` has prepared.

        Returns:
            The saved progress, or None if there is no checkpoint with this fingerprint.
        """
        for folder in (self.folder, self._beside("old")):
            path = folder / "progress.json"
            if not path.is_file():
                continue
            try:
                saved: dict[str, Any] = json.loads(path.read_text())
            except ValueError:
                accelerator.print(
                    f"{path}: is no JSON, as after a power cut: this checkpoint is not resumed from"
                )
                continue
            if saved["fingerprint"] != self.fingerprint:
                accelerator.print(
                    f"{folder}: is of other data, settings or weights: training starts anew"
                )
                return None
            accelerator.load_state(str(folder))
            return {name: value for name, value in saved.items() if name != "fingerprint"}
        return None

    def _beside(self, state: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{state}")
