"""Settings of an export: labels written in a published format, for others to read."""

from typing import Literal

from pydantic import Field

from shepherd.label_formats import ExportFormat
from shepherd.section import Section


class ExportSettings(Section):
    """A folder of labels in a published format, with a dataset card."""

    format: ExportFormat = Field("math_shepherd", description="published format of the rows")
    file_type: Literal["jsonl", "parquet"] = Field("jsonl", description="type of the files")
    annotator: str | None = Field(
        None, description="annotator whose labels are written; null: those of all"
    )
    license: str = Field("unknown", description="license that the card names")
    source: str = Field("", description="source of the problems that the card names")
