"""Read the rows of input files: JSONL, Parquet, CSV and folders of JSON.

A bad row is rejected with a reason. A file is never held in memory as a whole.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from resources.files.csv_rows import csv_rows
from resources.files.lines import SHOWN_BYTES, Line
from resources.files.parquet_rows import parquet_rows
from resources.files.visible import visible_files

MAX_LINE_BYTES = 16 * 2**20


def read_rows(path: Path, field: str) -> Iterator[Line]:
    """Return the rows of a .jsonl, .jsonl.gz, .parquet or .csv file, or of a folder's .json files.

    Blank lines are skipped. A folder is read with its subfolders, in the order of its paths,
    one row a file. Hidden files and ``__MACOSX`` are passed over: systems put them there.

    Raises:
        ValueError: there is no such file, it is of another kind, or it is broken as a whole;
            ``field`` is the field of the profile that names it.
    """
    try:
        if path.is_dir():
            return _readable(_json_files(path, field), path, field)
        for suffix, read in _READERS.items():
            if path.name.endswith(suffix):
                if not path.is_file():
                    break
                return _readable(read(path, field), path, field)
        problem = "is none of these kinds" if path.is_file() else "no such file"
    except OSError as error:
        raise _unreadable(error, path, field) from error
    known = ", ".join(_READERS)
    raise ValueError(f"{path}: {problem}: set {field} to a {known} file, or a folder of .json")


def has_rows(path: Path) -> bool:
    """Return whether the name of a file is one that :func:`read_rows` reads."""
    return path.name.endswith(tuple(_READERS))


def _readable(lines: Iterator[Line], path: Path, field: str) -> Iterator[Line]:
    try:
        yield from lines
    except OSError as error:
        raise _unreadable(error, path, field) from error


def _unreadable(error: OSError, path: Path, field: str) -> ValueError:
    reason = error.strerror or error
    return ValueError(f"{error.filename or path}: cannot be read ({reason}): correct {field}")


def _json_lines(path: Path, field: str) -> Iterator[Line]:
    name, number = str(path), 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while raw := file.readline(MAX_LINE_BYTES):
                number += 1
                if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                    fault = f"is longer than {MAX_LINE_BYTES // 2**20} MiB"
                    yield Line(name, number, raw[:SHOWN_BYTES], fault)
                elif not raw.isspace():
                    yield Line(name, number, raw.rstrip(b"\r\n"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: broken gzip stream ({error}): fetch the file again, or correct {field}"
        ) from error


def _json_files(folder: Path, field: str) -> Iterator[Line]:
    paths = visible_files(folder, ".json")
    if not paths:
        raise ValueError(f"{folder}: the folder holds no .json file: correct {field}")
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path}: is no file or its link leads nowhere: remove it")
        with path.open("rb") as file:
            raw = file.read(MAX_LINE_BYTES + 1)
        fault = "" if len(raw) <= MAX_LINE_BYTES else f"is longer than {MAX_LINE_BYTES} bytes"
        yield Line(str(path), 1, raw, fault)


_READERS = {
    ".jsonl": _json_lines,
    ".jsonl.gz": _json_lines,
    ".parquet": parquet_rows,
    ".csv": csv_rows,
}
