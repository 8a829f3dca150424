"""Copy a home from a folder to an object store, or back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from resources.report import DATA_FOLDER, STUDY
from resources.report.server import MARKS_FILE
from resources.storage.atomic import replacing_file, replacing_folder
from resources.storage.home import Home
from resources.storage.model_store import ModelStore


def copy_home(source: Home, target: Home) -> Iterator[Path]:
    """Copy tables, models, exports, warehouse, report and its marks; yield each path in the source.

    A table that the target has with equal content is passed over, so that a copy that was stopped
    goes on. Journals and Dagster's databases are not copied.

    Raises:
        ValueError: both are one home, the source has nothing, or the target has other tables.
    """
    if source.location == target.location:
        raise ValueError(f"{source.location}: both homes are the same: name another target")
    tables = source.files.below(source.lake)
    if not tables:
        raise ValueError(f"{source.location}: there is no lake: name a home in which a run was")
    _refuse_other_tables(source, target, tables)
    for path in tables:
        if not _is_there(source, target, path):
            _copy(source, target, path)
            yield path
    for path in (source.exports, source.warehouse, source.report, source.root / DATA_FOLDER):
        if source.files.digest(path) is not None:
            _copy(source, target, path)
            yield path
    yield from _copy_documents(source, target)
    yield from _copy_models(source, target)


def _refuse_other_tables(source: Home, target: Home, tables: list[Path]) -> None:
    """Check that the target has no table that the source lacks or that differs.

    Raises:
        ValueError: it has one; the message names it.
    """
    keys = {path.relative_to(source.root) for path in tables}
    for path in target.files.below(target.lake):
        key = path.relative_to(target.root)
        is_table = path.suffix == ".parquet"
        if key not in keys or (is_table and not _is_there(source, target, source.root / key)):
            raise ValueError(
                f"{target.location}/{key}: the target has another table there: choose an empty home"
            )


def _is_there(source: Home, target: Home, path: Path) -> bool:
    """Return whether the target has a table with the same digest."""
    digest = target.files.digest(_at(source, target, path))
    return bool(digest) and digest == source.files.digest(path)


def _at(source: Home, target: Home, path: Path) -> Path:
    return target.root / path.relative_to(source.root)


def _copy(source: Home, target: Home, path: Path) -> None:
    """Copy a file or folder, and commit it."""
    source.files.fetch([path])
    written = _at(source, target, path)
    with target.files.committing(written):
        if path.is_dir():
            with replacing_folder(written) as folder:
                shutil.copytree(path, folder, dirs_exist_ok=True)
        else:
            with path.open("rb") as old, replacing_file(written) as new:
                shutil.copyfileobj(old, new)


def _copy_documents(source: Home, target: Home) -> Iterator[Path]:
    old, new = source.documents, target.documents
    for key in (MARKS_FILE, *(entry.key for entry in old.list(STUDY))):
        blob = old.get(key)
        if blob is not None:
            new.put(key, blob.data)
            yield source.root / key


def _copy_models(source: Home, target: Home) -> Iterator[Path]:
    models = ModelStore(source.models, source.files)
    for name in model_names(source):
        folder = models.path(name)

        def write(new: Path, folder: Path = folder) -> None:
            shutil.copytree(folder, new, dirs_exist_ok=True)

        ModelStore(target.models, target.files).save(name, write)
        yield models.link(name)


def model_names(home: Home) -> list[str]:
    """Return the trained models of a home, without versions and states of trainings."""
    if home.address:
        paths = home.files.below(home.models)
    else:
        paths = [path for path in home.models.glob("*") if path.is_dir()]
    return sorted({path.name for path in paths if not path.name.startswith(".")})
