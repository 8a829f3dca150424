"""Hashes of the weights under a folder of models."""

import hashlib
import json
from pathlib import Path


def weight_files(models: Path) -> dict[Path, str]:
    """Return a hash of the tensors of each safetensors file, by its path under ``models``.

    Folders whose names begin with a dot hold unfinished training and do not count.
    """
    paths = (path.relative_to(models) for path in sorted(models.rglob("*.safetensors")))
    finished = (path for path in paths if not any(part.startswith(".") for part in path.parts))
    return {path: _tensors_hash(models / path) for path in finished}


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
