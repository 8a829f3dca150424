"""Write curves that TensorBoard shows while a model trains, and afterwards."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class CurveWriter:
    """Write the curves of a run to the folder ``runs`` of its work folder.

    Points from ``first_step`` on replace those of a killed run that this one resumes. Only the
    main process writes (``is_main``); the other processes call the same methods without effect.
    """

    def __init__(self, work: Path, first_step: int, *, is_main: bool = True) -> None:
        self._folder = work / "runs"
        self._writer = SummaryWriter(self._folder, purge_step=first_step) if is_main else None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a point to the curve of each metric."""
        if self._writer:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write buffered points to disk."""
        if self._writer:
            self._writer.flush()

    def close(self) -> None:
        """Write buffered points to disk and close the file."""
        if self._writer:
            self._writer.close()

    def copy_to(self, out: Path) -> None:
        """Copy the closed curves to ``out/runs``, in place of those of an earlier run."""
        shutil.rmtree(out / "runs", ignore_errors=True)
        shutil.copytree(self._folder, out / "runs")
