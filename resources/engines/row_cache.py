"""Store keys and values of a batch whose rows have different lengths, and attend to them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

SLOT_MULTIPLE = 32
"""Attention reads a multiple of this number of slots: other lengths leave vector units idle."""

ATTENTION = "one_query_per_row"
"""The name under which transformers finds ``attend_rows``."""


class RowCache:
    """Keys and values of all rows, written in place.

    A row belongs to one request, and has one slot for each token of its prompt and completion.
    transformers' model receives this object as its cache (``past_key_values``) and calls ``update``
    and ``get_seq_length``. The engine calls ``feed`` before each forward pass.
    """

    def __init__(self, model: Any, batch_size: int) -> None:
        config = model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (2, config.num_hidden_layers, batch_size, heads, 0, size)
        parameter = next(model.parameters())
        # (2 for keys and values, layers, rows, heads, slots, head size)
        self.states = torch.empty(shape, dtype=parameter.dtype, device=parameter.device)
        self._positions = torch.empty(0, dtype=torch.int64)
        self._rows = torch.empty(0, dtype=torch.int64)
        self._length = 0

    def reserve(self, slots: int) -> None:
        """Make room for ``slots`` tokens in every row."""
        missing = _rounded(slots) - self.states.shape[-2]
        if missing > 0:
            self.states = F.pad(self.states, (0, 0, 0, missing))

    def load(self, first: int, last: int, states: torch.Tensor) -> None:
        """Copy a prompt's states into the rows from ``first`` to ``last``, without ``last``.

        ``states`` are (2, layers, heads, tokens, head size).
        """
        tokens = states.shape[3]
        self.states[:, :, first:last, :, :tokens] = states[:, :, None]

    def move(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Copy the rows ``sources`` over the rows ``targets``."""
        if len(targets):
            self.states[:, :, targets] = self.states[:, :, sources]

    def feed(self, positions: torch.Tensor, length: int) -> int:
        """Set the position of each row's next token, (rows in use,); return the slots to attend to.

        ``length`` is the largest position plus one. The slots are the same for all rows: the
        attention mask hides those after a row's own position.
        """
        self._positions = positions
        self._rows = torch.arange(len(positions), device=positions.device)
        self._length = _rounded(length)
        return self._length

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write each row's new token into a layer; return the keys and values to attend to.

        ``keys`` and ``values`` are (rows, heads, 1, head size). Returns views of
        (rows, heads, slots, head size).
        """
        all_keys, all_values = self.states[0, layer], self.states[1, layer]
        all_keys[self._rows, :, self._positions] = keys[:, :, 0]
        all_values[self._rows, :, self._positions] = values[:, :, 0]
        n = len(self._rows)
        return all_keys[:n, :, : self._length], all_values[:n, :, : self._length]

    def get_seq_length(self) -> int:
        """Return the slots before the new token: transformers adds one to get the mask's width."""
        return self._length - 1


def _rounded(slots: int) -> int:
    return -(-slots // SLOT_MULTIPLE) * SLOT_MULTIPLE


def attend_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from one query per row to the slots of ``RowCache``.

    The query heads that share a key-value head form one small matrix product, so that neither keys
    nor values are copied. In a layer with a sliding window a query attends to that many tokens,
    itself included. Without a mask this is a prefill, and transformers' own attention computes it.

    Args:
        module: the attention layer.
        query: (rows, query heads, 1, head size).
        key: (rows, key-value heads, slots, head size), and ``value`` likewise.
        value: see ``key``.
        attention_mask: (rows, 1, 1, slots), 0 at visible slots and -inf at the others.
        scaling: factor of the products of queries and keys.
        sliding_window: tokens that a query attends to; None or 0 for all.
        **options: further arguments of transformers' attention.

    Returns:
        The result, (rows, 1, query heads, head size), and no attention weights.
    """
    if attention_mask is None:
        band = _band(query.shape[2], sliding_window, query.device)
        prefilled: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, band, scaling=scaling, **options
        )
        return prefilled
    rows, heads, _, size = query.shape
    slots = attention_mask.shape[-1]
    if sliding_window and slots > sliding_window:
        num_visible = (attention_mask == 0).sum(-1, keepdim=True)
        is_outside = torch.arange(slots, device=query.device) < num_visible - sliding_window
        attention_mask = attention_mask.masked_fill(is_outside, -torch.inf)
    groups = rows * key.shape[1]
    bias = attention_mask.expand(rows, key.shape[1], 1, -1).reshape(groups, 1, -1)
    folded = query.reshape(groups, heads // key.shape[1], size)
    scores = torch.baddbmm(bias, folded, key.flatten(0, 1).transpose(1, 2), alpha=scaling)
    attended = torch.bmm(scores.softmax(-1), value.flatten(0, 1))
    return attended.view(rows, 1, heads, size), None


def _band(tokens: int, sliding_window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return the mask of a prefill with a sliding window, (1, 1, tokens, tokens).

    True means that a token (row) attends to another (column). Returns None if no token is outside
    the window, so that each attends to all before it.
    """
    if not sliding_window or tokens <= sliding_window:
        return None
    visible = torch.ones((tokens, tokens), dtype=torch.bool, device=device)
    return visible.tril().triu(1 - sliding_window)[None, None]


AttentionInterface.register(ATTENTION, attend_rows)
