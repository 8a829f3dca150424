"""Pack token sequences as prefix trees, so that a model reads each common prefix once.

In sorted order, sequences with the longest common prefixes are neighbours. A depth-first walk
over the trees of their prefixes therefore writes one sequence after another, without the prefix
that it shares with the sequence before. A token attends to itself and its ancestors only, at the
positions that they have in their own sequence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pack:
    """One sequence of the tokens of several sequences' prefix trees, depth first."""

    ids: Ints
    """Token ids, (tokens,)."""
    positions: Ints
    """Position of each token in its own sequences, (tokens,)."""
    ends: Ints
    """Index of the last descendant of each token, (tokens,)."""
    paths: dict[int, Ints]
    """For each packed sequence, by its index, the indices of its tokens in the pack."""

    def padded(self, num_tokens: int) -> "Pack":
        """Return the pack with ``num_tokens`` tokens; those added attend to themselves only."""
        added = np.arange(len(self.ids), num_tokens)
        zeros = np.zeros_like(added)
        return Pack(
            np.concatenate([self.ids, zeros]),
            np.concatenate([self.positions, zeros]),
            np.concatenate([self.ends, added]),
            self.paths,
        )

    def attends(self, device: torch.device) -> Callable[..., torch.Tensor]:
        """Return the function of (batch, head, i, j) that says whether token i attends to token j.

        It does if j is i or its ancestor. This is the form that PyTorch's FlexAttention takes.
        """
        ends = torch.from_numpy(self.ends).to(device)

        def is_self_or_ancestor(
            _batch: object, _head: object, token: torch.Tensor, other: torch.Tensor
        ) -> torch.Tensor:
            return (other <= token) & (token <= ends[other])

        return is_self_or_ancestor

    def attention_mask(self, device: torch.device) -> torch.Tensor:
        """Return whether token i attends to token j, (tokens, tokens)."""
        index = torch.arange(len(self.ids), device=device)
        return self.attends(device)(None, None, index[:, None], index[None])


def pack_sequences(sequences: Sequence[list[int]], max_tokens: int) -> Iterator[Pack]:
    """Yield packs that together hold every sequence once.

    A pack has at most ``max_tokens`` tokens, or one longer sequence. After a full pack, the next
    pack repeats the prefix that its sequences share with the sequences before.
    """
    pack, before = _GrowingPack(), np.zeros(0, np.int64)
    for index in sorted(range(len(sequences)), key=sequences.__getitem__):
        ids = np.asarray(sequences[index], np.int64)
        num_shared = _num_common(before, ids)
        if pack.paths and pack.size + len(ids) - num_shared > max_tokens:
            yield pack.finish()
            pack, num_shared = _GrowingPack(), 0
        pack.add(index, ids, num_shared)
        before = ids
    if pack.paths:
        yield pack.finish()


class _GrowingPack:
    """A pack under construction; ``size`` counts its tokens."""

    def __init__(self) -> None:
        self.size = 0
        self.paths: dict[int, Ints] = {}
        self._path = np.zeros(0, np.int64)
        self._ids: list[Ints] = []
        self._positions: list[Ints] = []

    def add(self, index: int, ids: Ints, num_shared: int) -> None:
        """Add a sequence whose first ``num_shared`` tokens are those of the sequence before."""
        fresh = np.arange(self.size, self.size + len(ids) - num_shared)
        self._path = np.concatenate([self._path[:num_shared], fresh])
        self.paths[index] = self._path
        self._ids.append(ids[num_shared:])
        self._positions.append(np.arange(num_shared, len(ids)))
        self.size += len(fresh)

    def finish(self) -> Pack:
        """Return the pack of the sequences that were added."""
        ends = np.zeros(self.size, np.int64)
        # Paths come in the order of the walk: the last path through a token has its last
        # descendant.
        for path in self.paths.values():
            ends[path] = path[-1:]
        return Pack(np.concatenate(self._ids), np.concatenate(self._positions), ends, self.paths)


def _num_common(one: Ints, other: Ints) -> int:
    shorter = min(len(one), len(other))
    differ = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differ[0]) if len(differ) else shorter
