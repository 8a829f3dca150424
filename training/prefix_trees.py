"""Token sequences that begin alike, packed so that a model reads each common prefix once.

Sorted, sequences with the longest common prefixes are neighbours, so a depth-first walk over the
trees of their prefixes writes them one after another without what the one before has already.
A token sees its ancestors alone, at the positions that they have in their own sequence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pack:
    """Sequences as one sequence of the tokens of their prefix trees, depth first.

    ``ids``, ``positions`` (in a token's own sequences) and ``ends`` (index of the last token
    that follows from a token) are (tokens,). ``paths`` has, for each packed sequence by its index,
    the indices of its tokens here.
    """

    ids: Ints
    positions: Ints
    ends: Ints
    paths: dict[int, Ints]

    def sees(self, device: torch.device) -> torch.Tensor:
        """Return whether token i sees token j, (tokens, tokens): j is i or an ancestor of it."""
        index = torch.arange(len(self.ids), device=device)
        ends = torch.from_numpy(self.ends).to(device)
        return (index <= index[:, None]) & (index[:, None] <= ends)


def pack_sequences(sequences: Sequence[list[int]], max_tokens: int) -> Iterator[Pack]:
    """Yield packs that hold every sequence once.

    A pack has at most ``max_tokens`` tokens, or one longer sequence. Where a pack is full, the
    next begins with its sequences' common prefix anew.
    """
    pack, before = _Growing(), np.zeros(0, np.int64)
    for index in sorted(range(len(sequences)), key=sequences.__getitem__):
        ids = np.asarray(sequences[index], np.int64)
        num_shared = _num_common(before, ids)
        if pack.paths and pack.size + len(ids) - num_shared > max_tokens:
            yield pack.done()
            pack, num_shared = _Growing(), 0
        pack.add(index, ids, num_shared)
        before = ids
    if pack.paths:
        yield pack.done()


class _Growing:
    """A pack under construction; ``size`` counts its tokens."""

    def __init__(self) -> None:
        self.size = 0
        self.paths: dict[int, Ints] = {}
        self._path = np.zeros(0, np.int64)
        self._ids: list[Ints] = []
        self._positions: list[Ints] = []

    def add(self, index: int, ids: Ints, num_shared: int) -> None:
        """Add a sequence that begins with ``num_shared`` tokens of the one before."""
        fresh = np.arange(self.size, self.size + len(ids) - num_shared)
        self._path = np.concatenate([self._path[:num_shared], fresh])
        self.paths[index] = self._path
        self._ids.append(ids[num_shared:])
        self._positions.append(np.arange(num_shared, len(ids)))
        self.size += len(fresh)

    def done(self) -> Pack:
        ends = np.zeros(self.size, np.int64)
        # In the order of the walk a path's own end is the furthest that its tokens lead to.
        for path in self.paths.values():
            ends[path] = path[-1:]
        return Pack(np.concatenate(self._ids), np.concatenate(self._positions), ends, self.paths)


def _num_common(one: Ints, other: Ints) -> int:
    shorter = min(len(one), len(other))
    differ = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differ[0]) if len(differ) else shorter
