"""The base class of all settings. It stands below the annotators, which define their own."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Names that become folders: no separators, no leading dot."""


class Section(BaseModel):
    """A part of a profile. It refuses unknown fields, so that a typo never goes unnoticed.

    ``INCIDENTAL`` names the fields that change a run's speed or memory, not its result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    INCIDENTAL: ClassVar[frozenset[str]] = frozenset()

    @property
    def essence(self) -> str:
        """The fields that results depend on, as JSON: all but the incidental ones, nested too."""
        return self.model_dump_json(exclude=self._incidental())

    def _incidental(self) -> dict[str, Any]:
        parts = {name: part._incidental() for name, part in self if isinstance(part, Section)}
        return parts | dict.fromkeys(self.INCIDENTAL, True)
