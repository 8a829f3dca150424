"""Frames that grow a few rows at a time."""

import polars as pl


class GrowingFrame:
    """Rows that come some at a time, in no order. They take little more memory than one frame."""

    FEW = 1024
    MOST_SMALL = 256

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = schema
        self._large = [schema.to_frame()]
        self._small: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows, which have the columns of the schema."""
        few = frame.height < self.FEW
        (self._small if few else self._large).append(frame.select(self._schema.names()))
        if len(self._small) == self.MOST_SMALL:
            # Copied by value: small frames keep KiB of buffers, and so does what joins them.
            values = pl.concat(self._small).to_dict(as_series=False)
            self._large.append(pl.DataFrame(values, schema=self._schema))
            self._small.clear()

    def frame(self) -> pl.DataFrame:
        """Return all rows, in one piece: to take rows from many takes twice as long."""
        return pl.concat(self._large + self._small, rechunk=True)
