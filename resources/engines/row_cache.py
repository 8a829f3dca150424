"""Keys and values of a batch whose rows stand at positions of their own, and attention to them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

SLOT_MULTIPLE = 32
"""Attention reads a multiple of that many slots: odd lengths leave vector units idle."""

ATTENTION = "one_query_per_row"
"""The name under which transformers finds ``attend_rows``."""


class RowCache:
    """Keys and values of all rows, (2, layers, rows, heads, slots, head size), written in place.

    Passed to the model as its cache: ``update`` puts each row's new token at the row's own
    position and returns the slots of the rows in use.
    """

    def __init__(self, model: PreTrainedModel, batch_size: int) -> None:
        config = model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (2, config.num_hidden_layers, batch_size, heads, 0, size)
        parameter = next(model.parameters())
        self.states = torch.empty(shape, dtype=parameter.dtype, device=parameter.device)
        self._positions = torch.empty(0, dtype=torch.int64)
        self._rows = torch.empty(0, dtype=torch.int64)
        self._length = 0

    def reserve(self, slots: int) -> None:
        """Make room for that many tokens in every row."""
        missing = _rounded(slots) - self.states.shape[-2]
        if missing > 0:
            self.states = F.pad(self.states, (0, 0, 0, missing))

    def load(self, first: int, last: int, states: torch.Tensor) -> None:
        """Write a prompt's states, (2, layers, heads, tokens, head size), into rows."""
        tokens = states.shape[3]
        self.states[:, :, first:last, :, :tokens] = states[:, :, None]

    def move(self, source: NDArray[np.int64], to: NDArray[np.int64]) -> None:
        """Copy rows over others."""
        if len(to):
            self.states[:, :, to] = self.states[:, :, source]

    def feed(self, positions: torch.Tensor, length: int) -> int:
        """Set the position of each row's next token; return how many slots attention reads.

        ``length`` is the largest position plus one.
        """
        self._positions = positions
        self._rows = torch.arange(len(positions), device=positions.device)
        self._length = _rounded(length)
        return self._length

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        all_keys, all_values = self.states[0, layer], self.states[1, layer]
        all_keys[self._rows, :, self._positions] = keys[:, :, 0]
        all_values[self._rows, :, self._positions] = values[:, :, 0]
        n = len(self._rows)
        return all_keys[:n, :, : self._length], all_values[:n, :, : self._length]

    def get_seq_length(self) -> int:
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
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Attend with one query a row to ``RowCache``; without a mask (prefill) as transformers does.

    The query heads that share a key-value head are the rows of one small product, so that
    neither keys nor values are copied. Returns (rows, 1, heads, head size) and no weights.
    A layer with a sliding window sees that many tokens, the query's own included.
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
        num_seen = (attention_mask == 0).sum(-1, keepdim=True)
        passed = torch.arange(slots, device=query.device) < num_seen - sliding_window
        attention_mask = attention_mask.masked_fill(passed, -torch.inf)
    groups = rows * key.shape[1]
    hidden = attention_mask.expand(rows, key.shape[1], 1, -1).reshape(groups, 1, -1)
    folded = query.reshape(groups, heads // key.shape[1], size)
    scores = torch.baddbmm(hidden, folded, key.flatten(0, 1).transpose(1, 2), alpha=scaling)
    attended = torch.bmm(scores.softmax(-1), value.flatten(0, 1))
    return attended.view(rows, 1, heads, size), None


def _band(tokens: int, sliding_window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return which of ``tokens`` see which; null if each sees all before it."""
    if not sliding_window or tokens <= sliding_window:
        return None
    seen = torch.ones((tokens, tokens), dtype=torch.bool, device=device)
    return seen.tril().triu(1 - sliding_window)[None, None]


AttentionInterface.register(ATTENTION, attend_rows)
