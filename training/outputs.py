"""Put a trained checkpoint in place whole, while no other process trains into its folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.storage.atomic import replacing_folder
from resources.storage.model_versions import ModelVersions, waiting_lock
from training.runs import work_folder_of

CHECKPOINT_FILES = ("*.safetensors", "*.json", "*.jsonl", "*.jinja", "*.model", "*.txt", "runs")
"""What a folder may hold that a new checkpoint replaces."""


@contextmanager
def training_alone(out: Path, work: Path, *, is_main: bool = True) -> Iterator[None]:
    """Hold the lock of a training while it runs; another process waits, and says so.

    Only the main process of several holds the lock (``is_main``). The work folder that a run of
    the same ``out`` takes by default is locked, too, so that no two runs write one checkpoint.

    Raises:
        ValueError: ``out`` holds something else than a checkpoint: name a new folder.
    """
    check_out(out)
    if not is_main:
        yield
        return
    default = work_folder_of(out)
    with waiting_lock(lock_of(default)):
        if work.absolute() == default.absolute():
            yield
            return
        with waiting_lock(lock_of(work)):
            yield


def lock_of(work: Path) -> Path:
    """Return the lock file beside a work folder."""
    return work.with_name(f"{work.name}.lock")


def check_out(out: Path) -> None:
    """Check that a checkpoint at ``out`` would replace nothing but a checkpoint.

    Raises:
        ValueError: it would: name a new folder.
    """
    others = (
        [path.name for path in out.iterdir() if not any(map(path.match, CHECKPOINT_FILES))]
        if out.is_dir()
        else [out.name] * out.exists()
    )
    if others:
        raise ValueError(
            f"{out.absolute()}: would be replaced, and holds {min(others)}, which is no file of a "
            "checkpoint: name a new folder"
        )


@contextmanager
def replacing_checkpoint(out: Path) -> Iterator[Path]:
    """Create a folder that replaces ``out`` in one step once the body has succeeded.

    A model of a home stays one: it becomes the latest version of that model.
    """
    versions = ModelVersions(out)
    replacing = versions.replacing() if versions.is_managed else replacing_folder(out)
    with replacing as written:
        yield written
