"""Let the rows of a decode step read slots that are not stored in the order of the rows."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

SLOT_MULTIPLE = 32
"""Attention reads a multiple of this number of a prompt's slots: other lengths leave vector units
idle."""


@dataclass(frozen=True)
class SlotGroup:
    """Keys and values at places, and the rows that read them. Indices count the heads of keys."""

    states: torch.Tensor
    """Keys and values, (2, layers, places, heads, slots, head size). Several rows may read one
    place."""
    row_of_reader: torch.Tensor
    """Row and head of each reader of each place, (places x heads x readers,)."""
    reader_of_row: torch.Tensor
    """Reader of each row and head, (rows x heads,); any, if all slots are hidden from the row."""

    def scores(self, layer: int, query: torch.Tensor) -> torch.Tensor:
        """Return the products of each row's queries with the keys that it reads.

        The queries of a head of keys are (rows x heads, queries, head size), and the result is
        (rows x heads, queries, slots).
        """
        keys = self.states[0, layer].flatten(0, 1)
        together = query.index_select(0, self.row_of_reader).view(len(keys), -1, query.shape[-1])
        products = torch.bmm(together, keys.transpose(1, 2))
        return products.view(-1, query.shape[1], keys.shape[1]).index_select(0, self.reader_of_row)

    def weighted(self, layer: int, shares: torch.Tensor) -> torch.Tensor:
        """Return the sums of values, weighted by each row's shares, by reader.

        Shares are (rows x heads, queries, slots), and the result is (readers x heads, queries,
        head size).
        """
        values = self.states[1, layer].flatten(0, 1)
        together = shares.index_select(0, self.row_of_reader).view(len(values), -1, values.shape[1])
        return torch.bmm(together, values).view(-1, shares.shape[1], values.shape[2])


def with_places(states: torch.Tensor, count: int) -> torch.Tensor:
    """Return (2, layers, places, heads, slots, head size) with room for ``count`` places."""
    missing = count - states.shape[2]
    if missing <= 0:
        return states
    # Twice as many at a time: each growth copies them all.
    return F.pad(states, (0, 0, 0, 0, 0, 0, 0, max(missing, states.shape[2])))


def rounded(slots: int) -> int:
    """Return a number of slots that attention reads at once, at least ``slots``."""
    return -(-slots // SLOT_MULTIPLE) * SLOT_MULTIPLE


def with_slots(states: torch.Tensor, slots: int) -> torch.Tensor:
    """Return (2, layers, copies, heads, slots, head size) with room for ``slots`` tokens."""
    missing = max(0, rounded(slots) - states.shape[-2])
    return F.pad(states, (0, 0, 0, missing)) if missing else states
