"""Store the tokens that rows have drawn in stretches, of which a short row has few.

A product over a batch reads equally many slots of every row. Rows have drawn a few tokens or many,
so that most slots of one array with room for the longest would hold nothing.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from resources.engines.slot_groups import with_places

BLOCK = 16
"""Tokens that move into a stretch at once."""


class Stretch:
    """Keys and values of some slots, for the rows that have drawn as many tokens.

    A row has a place from the first block on that it moves here. The places in use are the first.
    """

    def __init__(self, first: int, empty: torch.Tensor, batch_size: int) -> None:
        """Start without places.

        Args:
            first: how many drawn tokens are before those of this stretch.
            empty: (2, layers, 0, heads, slots, head size).
            batch_size: rows at most.
        """
        self.first = first
        self.states = empty
        self.places = np.full(batch_size, -1)
        """Place of each row, or -1."""

    @property
    def num_slots(self) -> int:
        """Return how many tokens of a row it holds."""
        return self.states.shape[-2]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return the row at each place."""
        with_place = np.flatnonzero(self.places >= 0)
        return with_place[np.argsort(self.places[with_place])]

    def append(self, rows: NDArray[np.int64], slot: int, block: torch.Tensor) -> None:
        """Store blocks of some rows from a slot on, (2, layers, rows, heads, BLOCK, head size)."""
        if not slot:  # the first block of these rows here
            num_places = len(self.rows)
            self.places[rows] = num_places + np.arange(len(rows))
            self.states = with_places(self.states, num_places + len(rows))
        self.states[:, :, self.places[rows], :, slot : slot + BLOCK] = block

    def remove(
        self,
        ended: NDArray[np.int64],
        sources: NDArray[np.int64],
        targets: NDArray[np.int64],
    ) -> None:
        """Free the places of rows that have ended; then rows move from sources to targets."""
        rows = self.rows
        gone = self.places[ended]
        last_places, gaps = moves(gone[gone >= 0], len(rows))
        if len(gaps):
            self.states[:, :, gaps] = self.states[:, :, last_places]
            self.places[rows[last_places]] = gaps
        self.places[ended] = -1
        self.places[targets] = self.places[sources]
        self.places[sources] = -1


def stretch_of(block: int) -> tuple[int, int, int]:
    """Return which stretch holds a block, its first block, and its number of blocks.

    Each is as long as all before it, so that there are few, and a row leaves less than half of its
    slots in all of them empty.
    """
    number = block.bit_length()
    first = 2 ** (number - 1) if number else 0
    return number, first, max(1, first)


def moves(gone: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of ``count`` items move where, so that those left are the first ones.

    Both arrays, of sources and of targets, are (moves,).
    """
    num_left = count - len(gone)
    return np.setdiff1d(np.arange(num_left, count), gone), gone[gone < num_left]
