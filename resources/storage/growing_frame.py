"""Collect rows that come a few at a time."""

import polars as pl


class GrowingFrame:
    """Rows of one schema, in the order in which they are added.

    They take little more memory than one frame.
    """

    FEW = 1024
    """Rows below which a frame is small."""

    MOST_SMALL = 256
    """Small frames that are kept as they are; then they are joined."""

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = schema
        self._large = [schema.to_frame()]
        self._small: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows that have at least the columns of the schema."""
        few = frame.height < self.FEW
        (self._small if few else self._large).append(frame.select(self._schema.names()))
        if len(self._small) == self.MOST_SMALL:
            # Copied by value: each small frame holds KiB of buffers, and a frame of them holds all.
            values = pl.concat(self._small).to_dict(as_series=False)
            self._large.append(pl.DataFrame(values, schema=self._schema))
            self._small.clear()

    def frame(self) -> pl.DataFrame:
        """Return all rows in one chunk: taking rows from many chunks takes twice as long."""
        return pl.concat(self._large + self._small, rechunk=True)
