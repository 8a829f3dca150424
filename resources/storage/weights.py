"""Identify a checkpoint by its content, so that a copy of it is the same model."""

import json
import time
from hashlib import file_digest
from pathlib import Path

from resources.storage.atomic import replacing_file
from shepherd.identity import content_id

DIGESTS = ".digests.json"
"""The file in a checkpoint that remembers the digests of its other files."""

INCIDENTAL_FILES = ("metrics*", "README*", "LICENSE*", "*.md", ".*")
"""Files of a checkpoint that change no completion and no score."""

SECONDS_TO_SETTLE = 2.0
"""Age from which a file's digest is remembered: within one tick of the file system's clock, a
file can change without a new time stamp."""


def weights_identity(checkpoint: str | Path) -> str:
    """Return a hash of a checkpoint's files; the identity of a hub name is the name itself.

    The files are weights, configuration and tokenizer. Their digests are remembered in
    :data:`DIGESTS`, with each file's size and time stamp, where the folder can be written: a
    second call reads no weights. 1 GiB takes one second of a processor (docs/models.md).
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        return str(checkpoint)
    digests = {path.name: _stamp(path) for path in _files(folder)}
    remembered = _remembered(folder)
    for name, stamp in digests.items():
        if (known := remembered.get(name)) and known.startswith(stamp):
            digests[name] = known
        else:
            with (folder / name).open("rb") as file:
                digests[name] = stamp + file_digest(file, "sha256").hexdigest()
    _remember(folder, digests, remembered)
    parts = (f"{name} {line.rpartition(' ')[2]}" for name, line in sorted(digests.items()))
    return content_id(*parts)


def _files(folder: Path) -> list[Path]:
    """Return the files that decide what the model draws."""
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and not any(path.match(pattern) for pattern in INCIDENTAL_FILES)
    ]


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns} "


def _remembered(folder: Path) -> dict[str, str]:
    """Return ``size time digest`` by file; nothing where the memory is missing or broken."""
    try:
        lines = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lines if isinstance(lines, dict) else {}


def _remember(folder: Path, digests: dict[str, str], remembered: dict[str, str]) -> None:
    """Write the digests of settled files into the folder, unless it is read-only."""
    newest = time.time_ns() - int(SECONDS_TO_SETTLE * 1e9)
    settled = {name: line for name, line in digests.items() if int(line.split(" ")[1]) < newest}
    if settled == remembered:
        return
    try:
        with replacing_file(folder / DIGESTS) as file:
            file.write(json.dumps(settled, sort_keys=True).encode())
    except OSError:
        return
