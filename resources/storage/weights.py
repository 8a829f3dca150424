"""Identify a checkpoint by its content, so that a copy of it is the same model."""

import json
import re
from collections.abc import Iterator
from functools import cache
from hashlib import file_digest
from pathlib import Path

from resources.storage.atomic import WriteError, replacing_file
from resources.storage.settling import is_settled as has_settled
from shepherd.identity import content_id

DIGESTS = ".digests.json"
"""The file in a checkpoint that remembers the digests of its other files."""

INCIDENTAL_FILES = ("metrics*", "README*", "LICENSE*", "*.md", ".*")
"""Files of a checkpoint that change no completion and no score."""

_LINE = re.compile(r"\d+ \d+ [0-9a-f]{64}")
"""What is remembered of a file: size, time stamp and digest."""


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
    digests: dict[str, str] = {}
    settled: dict[str, str] = {}
    for path in sorted(_files(folder)):
        stat = path.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns} "
        line = remembered.get(path.name, "")
        is_known = line.startswith(stamp)
        if not (is_known or is_settled or has_settled(stat.st_mtime_ns)):
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
    return [path.name for path, digest in _comparable(folder) if _digest(path) != digest]


def missing_files(folder: Path) -> list[str]:
    """Return the files of a checkpoint that are remembered and missing."""
    return [name for name in sorted(_remembered(folder)) if not (folder / name).exists()]


def unknown_files(folder: Path) -> list[str]:
    """Return the files of a checkpoint of which no content is remembered for their time stamp."""
    known = {path.name for path, _ in _comparable(folder)}
    return sorted({path.name for path in _files(folder)} - known)


def _comparable(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that has the remembered size and time stamp, with its digest."""
    for name, line in sorted(_remembered(folder).items()):
        path, (size, time_stamp, digest) = folder / name, line.split(" ")
        stat = path.stat() if path.is_file() else None
        if stat and (str(stat.st_size), str(stat.st_mtime_ns)) == (size, time_stamp):
            yield path, digest


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
    if not isinstance(lines, dict):
        return {}
    return {name: line for name, line in lines.items() if _LINE.fullmatch(str(line))}


def _remember(folder: Path, settled: dict[str, str]) -> None:
    """Write the digests of settled files into the folder, unless it is read-only."""
    try:
        with replacing_file(folder / DIGESTS) as file:
            file.write(json.dumps(settled, sort_keys=True).encode())
    except (OSError, WriteError):
        return
