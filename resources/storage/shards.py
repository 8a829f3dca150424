"""The file ``shards.json`` of a lake: how each dataset is stored."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from resources.storage.atomic import replacing_file


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
        ValueError: the file is damaged: remove it.
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


@lru_cache
def _read_once(path: Path, _stamp: tuple[int, int, int]) -> Shards:
    """Read the file; another stamp is another file, as it is only ever replaced."""
    try:
        return _SHARDS.validate_json(path.read_bytes())
    except ValidationError as error:
        [*_, first] = error.errors()
        raise ValueError(
            f"{path}: is damaged ({first['msg']}): remove it, and the next run writes it again"
        ) from error
