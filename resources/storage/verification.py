"""Verify the files of a home: what is damaged, lost, or does not belong there."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from resources.storage.digests import check_digest
from resources.storage.findings import Finding, Item, unreadable
from resources.storage.home import Home
from resources.storage.journal import SUFFIX, num_damaged_bytes
from resources.storage.lake import Lake
from resources.storage.lost_files import lost_files
from resources.storage.model_versions import VERSIONS, check_unchanged
from resources.storage.shards import read_shards
from resources.storage.warehouse import WarehouseInUseError, open_warehouse
from resources.storage.weights import changed_files, missing_files, unknown_files
from shepherd.schemas import Table, table_named


def items_of(home: Home) -> list[Item]:
    """Return all that a home holds and that can be verified, in order.

    Raises:
        ValueError: there is no home at this path, or ``shards.json`` is damaged.
    """
    home.files.fetch([*home.files.below(home.lake), home.warehouse])
    if not home.root.is_dir():
        raise ValueError(f"{home.root}: no such folder: correct --home, or run a profile first")
    lake, shards = Lake(home.lake, home.files), read_shards(home.lake / "shards.json")
    items = [Item(home.lake, 0, partial(_strays, lake))]
    for folder in sorted(path for path in home.lake.glob("*") if path.is_dir()):
        try:
            items += _items_of_table(lake, folder)
        except OSError as error:
            items.append(Item(folder, 0, partial(_unlisted, folder, error)))
    items.append(Item(home.lake, 0, partial(lost_files, lake, shards, home.dagster)))
    for path in sorted(home.imports.rglob("*.parquet")):
        items.append(_file_item(path, _import))
    for path in sorted(home.journals.rglob(f"*{SUFFIX}")):
        items.append(_file_item(path, _journal))
    for path in sorted(home.models.glob("[!.]*")):
        items += (
            [Item(path, 0, partial(_link, path))] if path.is_symlink() else _items_of_model(path)
        )
    for path in sorted(home.models.glob(f"{VERSIONS}/*/[!.]*")):
        items += _items_of_model(path)
    if home.warehouse.exists():
        items.append(_file_item(home.warehouse, _warehouse))
    return items


@dataclass
class _Rows:
    """What is known of a table's rows once its files are read."""

    table: Table
    keys: list[pl.Series] = field(default_factory=list)
    """Hashes of the keys: those of equal keys are equal."""
    num_without_digest: int = 0

    def findings(self, folder: Path) -> Iterator[Finding]:
        """Yield what is wrong with the files together."""
        again = f"materialize the asset {self.table.name} again"
        # Within one file, keys were compared when it was read.
        hashes = pl.concat(self.keys) if self.keys else pl.Series(dtype=pl.UInt64)
        num_repeated = hashes.len() - hashes.n_unique()
        if num_repeated:
            names = ", ".join(self.table.key)
            yield Finding(folder, f"{num_repeated} rows repeat the key ({names}): {again}")
        if self.num_without_digest:
            yield _no_digest(folder, self.num_without_digest, again)


def _no_digest(path: Path, num_files: int, way_out: str) -> Finding:
    files = f"{num_files} files have" if num_files > 1 else "1 file has"
    problem = "no digest, as an earlier version of the pipeline wrote it: damage goes unnoticed"
    return Finding(path, f"{files} {problem}: {way_out}", is_note=True)


def _items_of_table(lake: Lake, folder: Path) -> list[Item]:
    table = table_named(folder.name)
    if table is None:
        text = "no table of this version of the pipeline: it is not read, and can be deleted"
        return [Item(folder, 0, lambda: iter([Finding(folder, text, is_note=True)]))]
    rows = _Rows(table)
    items = [_file_item(path, partial(_partition, lake, rows)) for path in lake.files(table)]
    return [*items, Item(folder, 0, partial(rows.findings, folder))]


def _unlisted(folder: Path, error: OSError) -> Iterator[Finding]:
    yield unreadable(folder, error)


def _items_of_model(folder: Path) -> list[Item]:
    if not folder.is_dir():
        return []
    return [Item(folder, sum(map(_size, folder.iterdir())), partial(_weights, folder))]


def _file_item(path: Path, check: Callable[[Path], Iterator[Finding]]) -> Item:
    return Item(path, _size(path), partial(check, path))


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 of a folder, or if it vanishes or cannot be read."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _strays(lake: Lake) -> Iterator[Finding]:
    for path in lake.strays():
        # It may be sound, if an entry of shards.json is lost.
        yield Finding(path, "is no shard of a dataset, and is not read: move it aside")


def _link(path: Path) -> Iterator[Finding]:
    if not path.exists():
        problem = f"leads to {path.readlink()}, which is missing: materialize the asset"
        yield Finding(path, f"{problem} {path.name} again")


def _partition(lake: Lake, rows: _Rows, path: Path) -> Iterator[Finding]:
    """Check the digest, schema, nulls and key of a file, and collect its keys."""
    table = rows.table
    try:
        has_digest, frame = lake.check_file(table, path), lake.read_file(table, path)
    except ValueError as error:
        yield Finding(path, _without_path(path, error))
        return
    rows.keys.append(frame.select(table.key).hash_rows())
    rows.num_without_digest += not has_digest


def _import(path: Path) -> Iterator[Finding]:
    again = "import the labels again"
    try:
        has_digest = check_digest(path)
    except ValueError as error:
        yield Finding(path, f"{error}: {again}")
        return
    if not has_digest:
        yield _no_digest(path, 1, again)


def _journal(path: Path) -> Iterator[Finding]:
    num_bytes = num_damaged_bytes(path)
    if num_bytes:
        yield Finding(
            path,
            f"its last {num_bytes} bytes are damaged or incomplete: the next run draws them again",
            is_note=True,
        )


def _weights(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        return
    try:
        check_unchanged(folder)
    except ValueError as error:
        yield Finding(folder, _without_path(folder, error))
    lost = missing_files(folder)
    for name in lost:
        yield Finding(folder / name, "is missing: train the model again, or copy the file again")
    is_version = folder.parent.parent.name == VERSIONS
    if not (is_version or "config.json" in lost or (folder / "config.json").exists()):
        yield Finding(folder, "has no config.json: train the model again, or copy it again")
    if not is_version and (unknown := unknown_files(folder)):
        files = f"{len(unknown)} files, first {unknown[0]}"
        problem = "were not compared: no digest is remembered for their time stamps"
        yield Finding(folder, f"{files}, {problem}", is_note=True)
    for name in changed_files(folder):
        yield Finding(
            folder / name,
            "is damaged: its bytes are not those that were first read: train the model again, or "
            "copy the file again",
        )


def _warehouse(path: Path) -> Iterator[Finding]:
    """Read all blocks of the warehouse, whose checksums DuckDB compares."""
    try:
        with open_warehouse(path) as connection:
            names = connection.execute(
                "select schema_name, table_name from duckdb_tables() where not internal"
            ).fetchall()
            for schema, name in names:
                connection.execute(f'select bit_xor(hash(row)) from "{schema}"."{name}" as row')
    except WarehouseInUseError as error:
        problem = f"{_without_path(path, error)}; it was not checked"
        yield Finding(path, problem, is_note=True)
    except ValueError as error:
        yield Finding(path, _without_path(path, error))
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        yield Finding(path, f"is damaged: {reason}: build it again: shepherd warehouse build")


def _without_path(path: Path, error: ValueError) -> str:
    return re.sub(r"\s+", " ", str(error)).removeprefix(f"{path}: ")
