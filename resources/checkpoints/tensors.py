"""Read single tensors of a checkpoint, such as those of a head."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from resources.checkpoints.loading import check_finite, refusal

if TYPE_CHECKING:
    import torch


def tensor_names(model: Path | str) -> frozenset[str]:
    """Return the names of all tensors in the safetensors files of a checkpoint.

    Raises:
        ValueError: a file is broken, or the hub does not give it.
    """
    return frozenset(_places(model))


def read_tensors(model: Path | str, names: Collection[str]) -> dict[str, "torch.Tensor"]:
    """Return tensors of a checkpoint by name; those that it lacks are left out.

    Raises:
        ValueError: a file is broken, the hub does not give it, or a value is not finite.
    """
    from safetensors import SafetensorError, safe_open

    tensors = {}
    for name, path in _places(model).items():
        if name in names:
            try:
                with safe_open(path, "pt") as file:
                    tensors[name] = file.get_tensor(name)
            except SafetensorError as error:
                raise ValueError(refusal(model, error)) from error
    check_finite(tensors.items(), model)
    return tensors


def _places(model: Path | str) -> dict[str, Path]:
    """Return the file of each tensor; files of a hub name are downloaded if they are not here."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from safetensors import SafetensorError, safe_open

    places: dict[str, Path] = {}
    try:
        folder = Path(model)
        if not folder.is_dir():
            folder = Path(snapshot_download(str(model), allow_patterns="*.safetensors"))
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                places |= dict.fromkeys(file.keys(), path)
    except (SafetensorError, OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ValueError(refusal(model, error)) from error
    return places
