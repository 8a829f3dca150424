"""Store keys and values of a batch, those of a prompt once for the rows that share it.

Attention in a decode step reads every stored key and value once and does little with each, so its
time is that of reading memory. Rollouts of one prompt are drawn faster if they read the prompt's
keys together, as in Hydragen (arXiv 2402.05099), and if short rows read few slots.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from resources.engines.slot_groups import SlotGroup, rounded, with_places, with_slots
from resources.engines.stretches import BLOCK, Stretch, moves, stretch_of

MAX_SHARING = 16
"""Rows that share one copy of a prompt at most. All copies are read as if they had the rows of the
largest, so that one copy for many rows would cost more than it saves."""


@dataclass(frozen=True)
class _Step:
    """What the layers of one decode step share. Indices are tensors on the model's device."""

    newest_slots: torch.Tensor
    """Where each row and head writes its new token, among the newest slots of all rows and heads,
    (rows x heads,)."""
    prompts: SlotGroup | None
    """The copies of prompts. Those with fewer readers than the largest are padded with row 0, which
    uses no result of them."""
    stretches: list[SlotGroup]
    """The drawn tokens but the newest. Each place has one reader; a row that has drawn few tokens
    has no place."""
    positions: torch.Tensor
    """Position in its sequence of each slot that a row reads, (rows, slots): of the prompt, the
    stretches and the newest slots. Slots that hold nothing of the row have the position after
    ``newest``, which is hidden."""
    newest: torch.Tensor
    """Position of each row's new token, (rows, 1)."""


class RowCache:
    """Keys and values of all rows, written in place.

    A row belongs to one request. It reads a copy of its prompt, all tokens but the last, which it
    shares with up to ``MAX_SHARING`` rows; and slots of its own: the prompt's last token and those
    that were drawn. Prompts of which one begins the other share a copy. For each step the engine
    calls ``begin_step``, then :func:`.decode_steps.decode_step`, whose layers call ``attend``, then
    ``end_step``.
    """

    def __init__(self, model: PreTrainedModel, batch_size: int) -> None:
        config = model.config
        self._num_layers = config.num_hidden_layers
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        parameter = next(model.parameters())
        self._num_heads = heads
        self._device = parameter.device
        self._batch_size = batch_size
        # (2 for keys and values, layers, rows or copies, heads, slots, head size)
        self._newest = parameter.new_zeros((2, self._num_layers, 0, heads, BLOCK, size))
        self._prompts = self._newest[..., :0, :]
        self._stretches: list[Stretch] = []
        self._copy = np.zeros(batch_size, np.int64)
        """The copy of each row's prompt."""
        self._prompt_length = np.zeros(batch_size, np.int64)
        """Tokens of each row's prompt in its copy."""
        self._ids: list[list[int]] = []
        """Tokens of each copy."""
        self._num_readers = np.zeros(batch_size, np.int64)
        """Rows that read each copy."""
        self._step: _Step | None = None
        self._biases: dict[int, torch.Tensor] = {}
        self._num_attended = 0

    def load(self, first: int, last: int, ids: list[int], states: torch.Tensor | None) -> None:
        """Give a prompt to the rows from ``first`` to ``last``, without ``last``.

        Args:
            first: the first row.
            last: the row after the last.
            ids: the prompt's tokens but its last.
            states: their keys and values, (2, layers, heads, tokens, head size); None if there are
                no such tokens.
        """
        while first < last:
            copy = self._copy_for(ids)
            num_held = len(self._ids[copy])
            if states is not None and len(ids) > num_held:
                self._prompts = with_slots(self._prompts, len(ids))
                self._prompts[:, :, copy, :, num_held : len(ids)] = states[..., num_held:, :]
                self._ids[copy] = ids
            stop = min(last, first + MAX_SHARING - int(self._num_readers[copy]))
            self._copy[first:stop] = copy
            self._prompt_length[first:stop] = len(ids)
            self._num_readers[copy] += stop - first
            first = stop

    def _copy_for(self, ids: list[int]) -> int:
        """Return a copy for one more row: one whose tokens begin ``ids`` or the other way round."""
        for copy, held in enumerate(self._ids):
            num_common = min(len(held), len(ids))
            if self._num_readers[copy] < MAX_SHARING and held[:num_common] == ids[:num_common]:
                return copy
        self._ids.append([])
        self._prompts = with_places(self._prompts, len(self._ids))
        self._num_readers[len(self._ids) - 1] = 0
        return len(self._ids) - 1

    def remove(
        self, ended: NDArray[np.int64], num_rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Remove rows from the first ``num_rows``; the last of these move into the gaps.

        Returns:
            The rows that moved and their new places, (moves,) each.
        """
        for copy, count in zip(*np.unique(self._copy[ended], return_counts=True), strict=True):
            self._num_readers[copy] -= count
        sources, targets = moves(ended, num_rows)
        if len(targets):
            self._newest[:, :, targets] = self._newest[:, :, sources]
            self._copy[targets] = self._copy[sources]
            self._prompt_length[targets] = self._prompt_length[sources]
        for stretch in self._stretches:
            stretch.remove(ended, sources, targets)
        self._remove_copies(num_rows - len(ended))
        return sources, targets

    def _remove_copies(self, num_rows: int) -> None:
        """Remove the copies that no row reads; the last copies move into the gaps."""
        num_copies = len(self._ids)
        unread = np.flatnonzero(self._num_readers[:num_copies] == 0)
        sources, targets = moves(unread, num_copies)
        for source, target in zip(sources, targets, strict=True):
            self._prompts[:, :, target] = self._prompts[:, :, source]
            self._ids[target] = self._ids[source]
        del self._ids[num_copies - len(unread) :]
        renamed = np.arange(len(self._copy))
        renamed[sources] = targets
        self._copy[:num_rows] = renamed[self._copy[:num_rows]]
        self._num_readers[targets] = self._num_readers[sources]

    def begin_step(self, num_drawn: NDArray[np.int64]) -> torch.Tensor:
        """Prepare the forward pass of a step; return each row's position, (rows, 1).

        ``num_drawn`` is the number of tokens that each row in use has drawn, (rows,).
        """
        n = len(num_drawn)
        self._newest = with_places(self._newest, n)
        self._move_blocks(num_drawn)
        length = self._prompt_length[:n, None]
        newest = length + num_drawn[:, None]
        num_moved = num_drawn[:, None] // BLOCK * BLOCK
        prompt_slots = rounded(int(length.max()))
        slot = np.arange(prompt_slots)
        positions = [np.where(slot < length, slot, newest + 1)]
        stretches = []
        for stretch in self._stretches:
            rows = stretch.rows
            if len(rows):
                slot = stretch.first + np.arange(stretch.num_slots)
                positions.append(np.where(slot < num_moved, slot + length, newest + 1))
                stretches.append(self._stretch_group(stretch, rows, n))
        positions.append(length + num_moved + np.arange(BLOCK))
        newest_slots = self._with_heads(np.arange(n)) * BLOCK + num_drawn[:, None] % BLOCK
        self._step = _Step(
            newest_slots=self._indices(newest_slots),
            prompts=self._prompt_group(self._copy[:n], prompt_slots) if prompt_slots else None,
            stretches=stretches,
            positions=self._tensor(np.hstack(positions)),
            newest=self._tensor(newest),
        )
        self._biases.clear()
        self._num_attended = 0
        return self._step.newest

    def _move_blocks(self, num_drawn: NDArray[np.int64]) -> None:
        """Move the newest slots of rows that have filled them into stretches."""
        full = np.flatnonzero((num_drawn > 0) & (num_drawn % BLOCK == 0))
        blocks = num_drawn[full] // BLOCK - 1
        for block in np.unique(blocks).tolist():
            number, first, count = stretch_of(block)
            if number == len(self._stretches):
                *shape, _, size = self._newest[:, :, :0].shape
                empty = self._newest.new_zeros((*shape, count * BLOCK, size))
                self._stretches.append(Stretch(first * BLOCK, empty, self._batch_size))
            rows = full[blocks == block]
            slot = (block - first) * BLOCK
            self._stretches[number].append(rows, slot, self._newest[:, :, rows])

    def _prompt_group(self, copies: NDArray[np.int64], slots: int) -> SlotGroup:
        """Return the prompts of a step, given the copy of each row."""
        num_copies = len(self._ids)
        order = np.argsort(copies, kind="stable")
        num_readers = self._num_readers[:num_copies]
        most = int(num_readers.max())
        rank = np.arange(len(copies)) - (np.cumsum(num_readers) - num_readers)[copies[order]]
        rows = np.zeros((num_copies, most), np.int64)
        rows[copies[order], rank] = order
        ranks = np.empty_like(rank)
        ranks[order] = rank
        return SlotGroup(
            self._prompts[:, :, :num_copies, :, :slots],
            self._indices(self._with_heads(rows).transpose(0, 2, 1)),
            self._indices(self._with_heads(copies) * most + ranks[:, None]),
        )

    def _stretch_group(self, stretch: Stretch, rows: NDArray[np.int64], num_rows: int) -> SlotGroup:
        """Return a stretch of a step, given the row at each place."""
        # Rows without a place read the first: its slots are hidden from them.
        places = stretch.places[:num_rows].clip(0)
        return SlotGroup(
            stretch.states[:, :, : len(rows)],
            self._indices(self._with_heads(rows)),
            self._indices(self._with_heads(places)),
        )

    def _with_heads(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return indices among all heads of keys, of one row more dimension: (..., heads)."""
        heads: NDArray[np.int64] = np.arange(self._num_heads)
        with_heads: NDArray[np.int64] = indices[..., None] * self._num_heads + heads
        return with_heads

    def _indices(self, array: NDArray[np.int64]) -> torch.Tensor:
        return self._tensor(array.ravel())

    def _tensor(self, array: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def end_step(self) -> None:
        """Check that each layer of the model has attended through this object."""
        assert self._num_attended == self._num_layers, "a layer attends in another way"

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
            query: (rows, query heads, head size).
            key: (rows, key-value heads, head size), and ``value`` likewise.
            value: see ``key``.
            scaling: factor of the products of queries and keys.
            sliding_window: tokens that a query attends to, itself included; None or 0 for all.

        Returns:
            (rows, query heads, head size).
        """
        step = self._step
        assert step is not None
        self._num_attended += 1
        (n, query_heads, size), heads = query.shape, key.shape[1]
        newest = self._newest[:, layer]
        for states, new in zip(newest, (key, value), strict=True):
            states.view(-1, size).index_copy_(0, step.newest_slots, new.reshape(-1, size))
        keys, values = newest[:, :n].flatten(1, 2)
        folded = query.reshape(n * heads, -1, size)
        groups = [step.prompts, *step.stretches] if step.prompts else step.stretches
        scores = [group.scores(layer, folded) for group in groups]
        scores.append(torch.bmm(folded, keys.transpose(1, 2)))
        slots = [part.shape[-1] for part in scores]
        joined = torch.cat(scores, dim=-1).view(n, query_heads, -1)
        bias = self._bias(step, sliding_window, joined.dtype)
        shares = torch.add(bias, joined, alpha=scaling).softmax(-1).view(n * heads, -1, sum(slots))
        *parts, newest_shares = torch.split(shares, slots, dim=-1)
        attended = torch.bmm(newest_shares, values)
        for group, part in zip(groups, parts, strict=True):
            sums = group.weighted(layer, part)
            # Each row reads one prompt, and row 0 pads others; it reads one place of a stretch, or
            # none.
            if group is step.prompts:
                attended += sums.index_select(0, group.reader_of_row)
            else:
                attended.index_add_(0, group.row_of_reader, sums)
        return attended.view(n, query_heads, size)

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
