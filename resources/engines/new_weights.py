"""Hand new weights of the same shapes to an engine that is open, without a disk.

Weights for another process are in anonymous files in memory, which the system frees when the
process that wrote them ends, however it does.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch
from safetensors.torch import load_file, save

from shepherd.requests import Engine

Weights = Mapping[str, torch.Tensor]
"""Tensors by their names in a checkpoint, which has tied weights once."""

FILE_BYTES = 2**30
"""Bytes of a file of weights, if no tensor has more: a file is in memory twice while it is
written."""


class ReloadableEngine(Engine, Protocol):
    """An engine that takes new weights while it is open, as policies need that learn."""

    def release(self) -> None:
        """Let the engine free weights and cache until new weights come.

        No request may be left. An engine of a small model may keep them.
        """
        ...

    def load_weights(self, weights: Weights) -> None:
        """Replace all weights, so that completions are those of their checkpoint.

        No request may be left. Shapes are those of the checkpoint. The tensors are copied: the
        caller may change its own afterwards.

        Raises:
            ValueError: a process of the engine has ended.
        """
        ...


class StoredWeights(dict[str, torch.Tensor]):
    """Weights in the safetensors of a folder, mapped into memory: bytes are read where they are
    used. An engine in other processes gets the folder (:func:`weights_folder`)."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        for path in sorted(folder.glob("*.safetensors")):
            self |= load_file(path)


@contextmanager
def weights_folder(weights: Weights) -> Iterator[Path]:
    """Yield a folder with the weights in safetensors, which other processes may read meanwhile."""
    if isinstance(weights, StoredWeights):
        yield weights.folder
        return
    with TemporaryDirectory() as folder, writing_weights(weights, Path(folder)):
        yield Path(folder)


@contextmanager
def writing_weights(weights: Weights, folder: Path) -> Iterator[None]:
    """Fill a folder with the weights alone, and empty it at the end.

    The files are links to memory of this process, for readers on this machine. A system without
    anonymous files has them on its disk.
    """
    for left in folder.glob("*.safetensors"):
        left.unlink()  # of a run that was killed
    with ExitStack() as stack:
        for number, part in enumerate(_parts(weights)):
            path = folder / f"model-{number:05}.safetensors"
            if hasattr(os, "memfd_create"):
                file = stack.enter_context(os.fdopen(os.memfd_create(path.name), "wb"))
                file.write(save(part, {"format": "pt"}))
                file.flush()
                path.symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")
            else:
                path.write_bytes(save(part, {"format": "pt"}))
            stack.callback(path.unlink)
        yield


def _parts(weights: Weights) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the weights in parts of at most :data:`FILE_BYTES`, on the CPU."""
    part: dict[str, torch.Tensor] = {}
    size = 0
    for name, weight in weights.items():
        if part and size + weight.nbytes > FILE_BYTES:
            yield part
            part, size = {}, 0
        part[name] = weight.detach().cpu().contiguous()
        size += weight.nbytes
    yield part
