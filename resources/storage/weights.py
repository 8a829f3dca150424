"""Identify a checkpoint by its content, so that a copy of it is the same model."""

import json
import time
from functools import cache
from hashlib import file_digest
from pathlib import Path

from resources.storage.atomic import WriteError, replacing_file
from shepherd.identity import content_id

DIGESTS = ".digests.json"
"""The file in a checkpoint that remembers the digests of its other files."""

INCIDENTAL_FILES = ("metrics*", "README*", "LICENSE*", "*.md", ".*")
"""Files of a checkpoint that change no completion and no score."""

SECONDS_TO_SETTLE = 2.0
"""Age from which a file's digest is remembered: within one tick of the file system's clock, a
file can change without a new time stamp."""


def weights_identity(checkpoint: str | Path, *, is_settled: bool = False) -> str:
    """Return a hash of a checkpoint's files; the identity of a hub name is the name itself.

    The files are weights, configuration and tokenizer. Their digests are remembered in
    :data:`DIGESTS`, with each file's size and time stamp, and in this process: a second call
    reads no weights. 1 GiB takes one second of a processor (docs/models.md).

    With ``is_settled`` nobody writes the folder any more, so that all digests are remembered.
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        return str(checkpoint)
    remembered = _remembered(folder)
    newest = time.time_ns() - int(SECONDS_TO_SETTLE * 1e9)
    digests: dict[str, str] = {}
    settled: dict[str, str] = {}
    for path in sorted(_files(folder)):
        stat = path.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns} "
        line = remembered.get(path.name, "")
        is_known = line.startswith(stamp)
        if not (is_known or is_settled) and stat.st_mtime_ns >= newest:
            digests[path.name] = _digest(path)
            continue
        digests[path.name] = line.split(" ")[2] if is_known else _digest_of(path, stamp)
        settled[path.name] = stamp + digests[path.name]
    if settled != remembered:
        _remember(folder, settled)
    return content_id(*(f"{name} {digest}" for name, digest in digests.items()))


def changed_files(folder: Path) -> list[str]:
    """Return the files of a checkpoint whose content is not the remembered one.

    Their size and time stamp are as they were: no program wrote them, the disk has changed them.
    All files are read.
    """
    changed = []
    for name, line in sorted(_remembered(folder).items()):
        size, time_stamp, digest = line.split(" ")
        path = folder / name
        stat = path.stat() if path.is_file() else None
        if stat and (str(stat.st_size), str(stat.st_mtime_ns)) == (size, time_stamp):
            changed += [name] if _digest(path) != digest else []
    return changed


def _files(folder: Path) -> list[Path]:
    """Return the files that decide what the model draws."""
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and not any(path.match(pattern) for pattern in INCIDENTAL_FILES)
    ]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@cache
def _digest_of(path: Path, _stamp: str) -> str:
    """Return the digest of a settled file; another stamp is another file."""
    return _digest(path)


def _remembered(folder: Path) -> dict[str, str]:
    """Return ``size time digest`` by file; nothing where the memory is missing or broken."""
    try:
        lines = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lines if isinstance(lines, dict) else {}


def _remember(folder: Path, settled: dict[str, str]) -> None:
    """Write the digests of settled files into the folder, unless it is read-only."""
    try:
        with replacing_file(folder / DIGESTS) as file:
            file.write(json.dumps(settled, sort_keys=True).encode())
    except (OSError, WriteError):
        return
