"""Check the weight files of a checkpoint that another library will load."""

from functools import cache
from pathlib import Path

from resources.checkpoints.loading import check_finite, refusal


def check_weight_files(model: Path | str) -> None:
    """Check that a folder has safetensors, all of them whole, with finite values.

    A hub name is not checked: its files may not be here yet. A file is read once in each process.

    Raises:
        ValueError: a file is missing, broken or holds values that are not finite.
    """
    folder = Path(model)
    if not folder.is_dir():
        return
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ValueError(refusal(model, FileNotFoundError("no file *.safetensors")))
    for path in paths:
        stat = path.stat()
        _check_file(path, f"{stat.st_size} {stat.st_mtime_ns}")


@cache
def _check_file(path: Path, _stamp: str) -> None:
    """Read a file once; another stamp is another file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118 - no mapping
            check_finite(tensors, path)
    except SafetensorError as error:
        raise ValueError(refusal(path.parent, error)) from error
