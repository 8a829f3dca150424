"""The base class of all settings. It stands below the annotators, which define their own."""

import keyword
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationInfo, field_validator
from pydantic.main import IncEx

from shepherd.messages import shown

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Names that become folders: no separators, no leading dot."""

LONGEST_NAME = 100
"""Characters of a name at most; a file name has 255 bytes and a name is a part of some."""

LARGEST_NUMBER = 2**53
"""The largest whole number that every reader of JSON and every column holds."""

RESERVED_NAMES = frozenset(keyword.kwlist).union(
    ("context", "conf", "config", "meta", "input", "output", "type", "arg_dict", "dict"),
    ("input_arg_dict", "output_arg_dict", "int", "str", "float", "bool"),
)
"""Names that Dagster gives to no asset."""


def check_names(names: Iterable[str], *, of_assets: bool = False) -> None:
    """Check the names of one section of a profile; ``of_assets``: each becomes an asset.

    Raises:
        ValueError: a name cannot be a folder, a partition or an asset, or two differ by case only.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not re.fullmatch(NAME_PATTERN, name) or len(name) > LONGEST_NAME:
            raise ValueError(
                f"name {shown(name)} must match {NAME_PATTERN} and have at most {LONGEST_NAME} "
                "characters, as it becomes a folder: choose another"
            )
        if "..." in name:
            raise ValueError(
                f"name {name!r} has three dots, which Dagster reads as a range: leave them out"
            )
        if of_assets and ("." in name or name in RESERVED_NAMES):
            raise ValueError(
                f"name {name!r} becomes an asset, and Dagster takes no dots and none of its or "
                "Python's own words: choose another"
            )
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(
                f"names {other!r} and {name!r} are one folder on disks that ignore case: rename one"
            )


class FromVariable(str):
    """A text that begins with an environment variable: as a path it is the caller's own."""

    __slots__ = ()


def placed(path: object, info: ValidationInfo) -> object:
    """Return a path as it is read: one that a profile writes out starts at the profile's folder.

    The context of the validation is that folder; None leaves paths as they are. So are paths that
    begin with a variable: they start at the working directory, as paths of a command line do.
    """
    is_ours = isinstance(path, str) and not isinstance(path, FromVariable)
    if info.context is None or not is_ours or not path or str(path).startswith("~"):
        return path
    return str(PurePath(info.context) / str(path))


class Section(BaseModel):
    """A part of a profile. It refuses unknown fields, so that a typo never goes unnoticed.

    ``INCIDENTAL`` names the fields that change a run's speed or memory, not its result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    INCIDENTAL: ClassVar[frozenset[str]] = frozenset()

    _unset: dict[str, list[str]] = PrivateAttr(default_factory=dict)

    def note_unset(self, field: str, variables: Iterable[str]) -> None:
        """Remember the environment variables whose absence makes a field null."""
        self._unset[field] = sorted(variables)

    def unset_hint(self, *fields: str) -> str:
        """Return `` (unset variables: NAME)`` if a variable would have set one of the fields."""
        names = dict.fromkeys(name for field in fields for name in self._unset.get(field, ()))
        return f" (unset variables: {', '.join(names)})" if names else ""

    @field_validator("*")
    @classmethod
    def _numbers_fit(cls, value: object) -> object:
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise ValueError(f"write a number of at most {LARGEST_NUMBER:,}")
        return value

    @property
    def essence(self) -> str:
        """The fields that results depend on, as JSON: all but the incidental ones, nested too."""
        return self.model_dump_json(exclude=self._incidental())

    def _incidental(self) -> dict[str, IncEx | bool]:
        excluded: dict[str, IncEx | bool] = {
            name: part._incidental() for name, part in self if isinstance(part, Section)
        }
        excluded.update(dict.fromkeys(self.INCIDENTAL, True))
        return excluded
