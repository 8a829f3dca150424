"""The file ``shards.json`` of a lake: how each dataset is stored."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeAlias

import polars as pl
from polars.exceptions import PanicException, PolarsError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from resources.storage.atomic import replacing_file
from shepherd.identity import shard_of


class DatasetShards(BaseModel):
    """How a dataset is stored in the lake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: PositiveInt
    """Number of shards."""
    digests: bool = False
    """Whether all its files have digests. Then a file without one is not of the pipeline."""


def _of_number(value: object) -> object:
    """Read what earlier versions of the pipeline recorded: the number of shards."""
    return {"shards": value} if isinstance(value, int) else value


Shards: TypeAlias = Mapping[str, DatasetShards]
"""How each dataset is stored, by name."""

_SHARDS: TypeAdapter[dict[str, DatasetShards]] = TypeAdapter(
    dict[str, Annotated[DatasetShards, BeforeValidator(_of_number)]]
)


def read_shards(path: Path) -> Shards:
    """Return the datasets of a lake; none if the file does not exist.

    Raises:
        ValueError: the file is damaged: move it aside.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    return _read_once(path, (status.st_ino, status.st_size, status.st_ctime_ns))


def write_shards(path: Path, shards: Shards) -> None:
    """Replace the file."""
    with replacing_file(path) as file:
        file.write(_SHARDS.dump_json(dict(sorted(shards.items()))))


def num_shards_of(paths: Sequence[Path], num_expected: int) -> int:
    """Return the number of shards of a dataset, from the problems in its files.

    ``num_expected`` is returned if the problems do not say.
    """
    fewest = max(int(path.stem) for path in paths) + 1
    try:
        shards = {path.stem: pl.read_parquet(path, columns=["problem_id"]) for path in paths}
    except (PolarsError, PanicException):
        return max(fewest, num_expected)
    for number in (num_expected, fewest):
        if number >= fewest and all(
            shard_of(problem_id, number) == shard
            for shard, problems in shards.items()
            for problem_id in problems["problem_id"]
        ):
            return number
    return max(fewest, num_expected)


@lru_cache
def _read_once(path: Path, _stamp: tuple[int, int, int]) -> Shards:
    """Read the file; another stamp is another file, as it is only ever replaced."""
    try:
        return _SHARDS.validate_json(path.read_bytes())
    except ValidationError as error:
        [*_, first] = error.errors()
        raise ValueError(
            f"{path}: is damaged ({first['msg']}): move it aside, and the next run writes it again "
            "from the files of problems"
        ) from error
