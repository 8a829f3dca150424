"""Put a trained checkpoint in place whole, while no other process trains into its folder."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resources.storage.atomic import replacing_folder
from resources.storage.model_versions import ModelVersions, is_unpublished, lock_of, waiting_lock
from training.runs import work_folder_of

CHECKPOINT_FILES = ("*.safetensors", "*.json", "*.jsonl", "*.jinja", "*.model", "*.txt", "runs")
"""What a folder may hold that a new checkpoint replaces."""


@contextmanager
def training_alone(out: Path, work: Path, *, is_main: bool = True) -> Iterator[None]:
    """Hold the lock of a training while it runs; another process waits, and says so.

    Only the main process of several holds the lock (``is_main``). The work folder that a run of
    the same ``out`` takes by default is locked, too, so that no two runs write one checkpoint.
    A model of a home is locked by its store.

    Raises:
        ValueError: ``out`` holds something else than a checkpoint: name a new folder.
    """
    check_out(out)
    with ExitStack() as stack:
        if is_main and not is_unpublished(out):
            # Sorted, so that no two runs wait for each other.
            for lock in sorted({lock_of(each).resolve() for each in (work, work_folder_of(out))}):
                stack.enter_context(waiting_lock(lock))
        yield


def remove_work(work: Path, out: Path) -> None:
    """Remove the work folder of a training whose checkpoint is in place.

    A model of a home is not yet: its store removes the folder once the model is on the disk.
    """
    if not is_unpublished(out):
        shutil.rmtree(work)


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
