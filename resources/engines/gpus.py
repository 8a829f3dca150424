"""Choose the devices of engines."""

import os

import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that names the GPUs that a process sees."""


def device_of(name: str) -> torch.device:
    """Return a torch device by its name; ``auto`` is a GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process sees, as :data:`VISIBLE` has them."""
    count, named = torch.cuda.device_count(), os.environ.get(VISIBLE)
    # CUDA ignores names from the first wrong one on.
    return named.split(",")[:count] if named else list(map(str, range(count)))


def gpus_of_copies(count: int, gpus_each: int) -> list[dict[str, str]]:
    """Return the variables of each of ``count`` processes, by which it sees its own GPUs alone.

    Without GPUs the processes share the CPU.

    Raises:
        ValueError: there are not so many GPUs.
    """
    if not torch.cuda.is_available():
        return [{} for _ in range(count)]
    gpus = visible_gpus()
    if count * gpus_each > len(gpus):
        raise ValueError(
            f"engine.vllm, or vllm of the model: {count} copies on {gpus_each} GPUs each need "
            f"{count * gpus_each}, and {len(gpus)} are here: lower copies, or the parallel sizes"
        )
    groups = [gpus[start : start + gpus_each] for start in range(0, count * gpus_each, gpus_each)]
    return [{VISIBLE: ",".join(group)} for group in groups]
