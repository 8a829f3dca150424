"""Store keys and values of a batch, those of a prompt once for the rows that share it.

Attention in a decode step reads every stored key and value once and does little with each, so its
time is that of reading memory. Rollouts of one prompt are drawn faster if they read the prompt's
keys together, as in Hydragen (arXiv 2402.05099).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import PreTrainedModel

SLOT_MULTIPLE = 32
"""Attention reads a multiple of this number of slots: other lengths leave vector units idle."""

MAX_SHARING = 16
"""Rows that share one copy of a prompt at most. All copies are read as if they had the rows of the
largest, so that one copy for many rows would cost more than it saves."""


@dataclass(frozen=True)
class _Step:
    """What the layers of one decode step share. Indices are tensors on the model's device."""

    newest_slots: torch.Tensor
    """Where each row and head writes its new token: a place among the own slots of all rows and
    heads, (rows x heads,)."""
    members: torch.Tensor
    """Row and head at each place of the copies, (copies x heads x places,); the places that no row
    has repeat a row. Both sides count heads of keys, not of queries."""
    places: torch.Tensor
    """Place of each row and head, (rows x heads,)."""
    num_copies: int
    prompt_slots: int
    own_slots: int
    positions: torch.Tensor
    """Position in its sequence of each slot that a row reads, (rows, prompt slots + own slots); of
    slots that hold nothing of the row: a position after its new token."""
    newest: torch.Tensor
    """Position of each row's new token, (rows, 1)."""


class RowCache:
    """Keys and values of all rows, written in place.

    A row belongs to one request. It reads a copy of its prompt, all tokens but the last, which it
    shares with up to ``MAX_SHARING`` rows; and its own slots: the prompt's last token and those
    that were drawn. The engine calls ``begin_step`` before each forward pass, and passes this
    object to ``attend_rows`` as ``rows``.
    """

    def __init__(self, model: PreTrainedModel, batch_size: int) -> None:
        config = model.config
        self._num_layers = config.num_hidden_layers
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        parameter = next(model.parameters())
        self._num_heads = heads
        self._device = parameter.device

        def storage(count: int) -> torch.Tensor:
            # (2 for keys and values, layers, rows or copies, heads, slots, head size)
            shape = (2, config.num_hidden_layers, count, heads, 0, size)
            return torch.zeros(shape, dtype=parameter.dtype, device=parameter.device)

        self._own, self._prompts = storage(batch_size), storage(1)
        # By row: its copy. By copy: the tokens that it holds, and the rows that read it.
        self._copy = np.zeros(batch_size, np.int64)
        self._length = np.zeros(batch_size, np.int64)
        self._readers = np.zeros(batch_size, np.int64)
        self._num_copies = 0
        self._step: _Step | None = None
        self._biases: dict[int, torch.Tensor] = {}
        self._num_attended = 0

    def load(self, first: int, last: int, states: torch.Tensor | None) -> None:
        """Give a prompt to the rows from ``first`` to ``last``, without ``last``.

        ``states`` are (2, layers, heads, tokens, head size), and None for a prompt of one token.
        """
        tokens = 0 if states is None else states.shape[3]
        for start in range(first, last, MAX_SHARING):
            stop = min(start + MAX_SHARING, last)
            copy, self._num_copies = self._num_copies, self._num_copies + 1
            self._copy[start:stop] = copy
            self._length[copy] = tokens
            self._readers[copy] = stop - start
            if states is not None:
                self._prompts = _with_room(self._prompts, self._num_copies, tokens)
                self._prompts[:, :, copy, :, :tokens] = states

    def remove(
        self, ended: NDArray[np.int64], num_rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Remove rows from the first ``num_rows``; the last of these move into the gaps.

        Returns:
            The rows that moved and their new places, (moves,) each.
        """
        for copy, count in zip(*np.unique(self._copy[ended], return_counts=True), strict=True):
            self._readers[copy] -= count
        sources, targets = moves(ended, num_rows)
        if len(targets):
            self._own[:, :, targets] = self._own[:, :, sources]
            self._copy[targets] = self._copy[sources]
        self._remove_copies(num_rows - len(ended))
        return sources, targets

    def _remove_copies(self, num_rows: int) -> None:
        """Remove the copies that no row reads; the last copies move into the gaps."""
        unread = np.flatnonzero(self._readers[: self._num_copies] == 0)
        sources, targets = moves(unread, self._num_copies)
        self._num_copies -= len(unread)
        if not len(targets):
            return
        self._prompts[:, :, targets] = self._prompts[:, :, sources]
        renamed = np.arange(len(self._copy))
        renamed[sources] = targets
        self._copy[:num_rows] = renamed[self._copy[:num_rows]]
        self._length[targets] = self._length[sources]
        self._readers[targets] = self._readers[sources]

    def begin_step(self, num_drawn: NDArray[np.int64]) -> torch.Tensor:
        """Prepare the forward pass of a step; return each row's position, (rows, 1).

        ``num_drawn`` is the number of tokens that each row in use has drawn, (rows,).
        """
        n = len(num_drawn)
        copies = self._copy[:n]
        length = self._length[copies]
        own_slots = _rounded(int(num_drawn.max()) + 1)
        self._own = _with_room(self._own, n, own_slots)
        prompt_slots = _rounded(int(length.max()))
        newest = (length + num_drawn)[:, None]
        slot = np.arange(max(prompt_slots, own_slots))
        positions = np.hstack(
            [
                np.where(slot[:prompt_slots] < length[:, None], slot[:prompt_slots], newest + 1),
                slot[:own_slots] + length[:, None],
            ]
        )
        members, places = self._grouped(copies)
        heads = np.arange(self._num_heads)
        places_of_heads = np.arange(n)[:, None] * self._num_heads + heads
        newest_slots = places_of_heads * self._own.shape[-2] + num_drawn[:, None]
        self._step = _Step(
            newest_slots=self._tensor(newest_slots.ravel()),
            members=self._tensor(members),
            places=self._tensor(places),
            num_copies=self._num_copies,
            prompt_slots=prompt_slots,
            own_slots=own_slots,
            positions=self._tensor(positions),
            newest=self._tensor(newest),
        )
        self._biases.clear()
        self._num_attended = 0
        return self._step.newest

    def end_step(self) -> None:
        """Check that each layer of the model has attended through this object."""
        assert self._num_attended == self._num_layers, "a layer attends in another way"

    def _grouped(self, copies: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ``members`` and ``places`` of a :class:`_Step`, given the copy of each row."""
        heads = np.arange(self._num_heads)
        order = np.argsort(copies, kind="stable")
        readers = self._readers[: self._num_copies]
        most = int(readers.max())
        rank = np.arange(len(copies)) - (np.cumsum(readers) - readers)[copies[order]]
        rows = np.zeros((self._num_copies, most), np.int64)
        rows[copies[order], rank] = order
        members = rows[:, None] * self._num_heads + heads[:, None]
        ranks = np.empty_like(rank)
        ranks[order] = rank
        places = (copies[:, None] * self._num_heads + heads) * most + ranks[:, None]
        return members.ravel(), places.ravel()

    def _tensor(self, array: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scaling: float,
        sliding_window: int | None,
    ) -> torch.Tensor:
        """Write each row's new token into a layer, and attend from it.

        The query heads that share a key-value head, and the rows that share a prompt, form one
        matrix product, so that each key and value is read once.

        Args:
            layer: index of the layer.
            query: (rows, query heads, 1, head size).
            key: (rows, key-value heads, 1, head size), and ``value`` likewise.
            value: see ``key``.
            scaling: factor of the products of queries and keys.
            sliding_window: tokens that a query attends to, itself included; None or 0 for all.

        Returns:
            (rows, 1, query heads, head size).
        """
        step = self._step
        assert step is not None
        self._num_attended += 1
        n, query_heads, _, size = query.shape
        own_keys, own_values = self._own[0, layer], self._own[1, layer]
        own_keys.view(-1, size).index_copy_(0, step.newest_slots, key.reshape(-1, size))
        own_values.view(-1, size).index_copy_(0, step.newest_slots, value.reshape(-1, size))
        heads = key.shape[1]
        group = query_heads // heads
        folded = query.reshape(n * heads, group, size)
        own_slots, prompt_slots = step.own_slots, step.prompt_slots
        scores = torch.bmm(folded, own_keys[:n, :, :own_slots].flatten(0, 1).transpose(1, 2))
        prompt_values = None
        if prompt_slots:
            prompt_keys, prompt_values = (
                self._prompts[kind, layer, : step.num_copies, :, :prompt_slots].flatten(0, 1)
                for kind in (0, 1)
            )
            together = folded.index_select(0, step.members).view(len(prompt_keys), -1, size)
            shared = torch.bmm(together, prompt_keys.transpose(1, 2))
            shared = shared.view(-1, group, prompt_slots).index_select(0, step.places)
            scores = torch.cat([shared, scores], dim=-1)
        bias = self._bias(step, sliding_window, scores.dtype)
        scores = torch.add(bias, scores.view(n, heads * group, -1), alpha=scaling)
        shares = scores.softmax(-1).view(n * heads, group, -1)
        attended = torch.bmm(
            shares[..., prompt_slots:], own_values[:n, :, :own_slots].flatten(0, 1)
        )
        if prompt_values is not None:
            together = shares[..., :prompt_slots].index_select(0, step.members)
            shared = torch.bmm(together.view(len(prompt_values), -1, prompt_slots), prompt_values)
            attended += shared.view(-1, group, size).index_select(0, step.places)
        return attended.view(n, 1, query_heads, size)

    def _bias(self, step: _Step, sliding_window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """Return 0 at the slots that a row attends to and -inf at others, (rows, 1, slots)."""
        window = sliding_window or 0
        if window not in self._biases:
            is_hidden = step.positions > step.newest
            if window:
                is_hidden |= step.positions <= step.newest - window
            bias = torch.zeros(is_hidden.shape, dtype=dtype, device=self._device)
            self._biases[window] = bias.masked_fill_(is_hidden, -torch.inf)[:, None]
        return self._biases[window]


def moves(gone: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of ``count`` items move where, so that those left are the first ones."""
    num_left = count - len(gone)
    return np.setdiff1d(np.arange(num_left, count), gone), gone[gone < num_left]


def _rounded(slots: int) -> int:
    return -(-slots // SLOT_MULTIPLE) * SLOT_MULTIPLE


def _with_room(states: torch.Tensor, count: int, slots: int) -> torch.Tensor:
    """Return states with room for ``count`` rows or copies of ``slots`` tokens, at least.

    They are (2, layers, rows or copies, heads, slots, head size).
    """
    missing = max(0, _rounded(slots) - states.shape[-2])
    missing_rows = max(0, count - states.shape[2])
    if missing_rows:
        # Twice as many at a time: each growth copies them all.
        missing_rows = max(missing_rows, states.shape[2])
    if missing or missing_rows:
        return F.pad(states, (0, 0, 0, missing, 0, 0, 0, missing_rows))
    return states
