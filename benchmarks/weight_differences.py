"""Hashes of the weights under a folder of models."""

import hashlib
import json
from pathlib import Path


def weight_files(models: Path) -> dict[Path, str]:
    """Return a hash of the tensors of each safetensors file, by its path under ``models``.

    Folders whose names begin with a dot hold unfinished training and earlier versions, and do not
    count.
    """
    # A model is a link to its latest version, and a pattern would not follow it.
    finished = [path for path in models.glob("*") if not path.name.startswith(".")]
    return {
        Path(model.name) / path.relative_to(model): _tensors_hash(path)
        for model in sorted(finished)
        for path in sorted(model.rglob("*.safetensors"))
    }


def _tensors_hash(path: Path) -> str:
    """Hash names, types, shapes and values of the tensors; leave the file's metadata out.

    A safetensors file is the length of its header (8 bytes, little endian), the header as JSON,
    and the values.
    """
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        digest = hashlib.blake2b(json.dumps(header, sort_keys=True).encode())
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
