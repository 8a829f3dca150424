"""Let the attention layers of transformers read a :class:`RowCache` in decode steps."""

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from resources.engines.row_cache import RowCache

ATTENTION = "one_query_per_row"
"""The name under which transformers finds ``attend_rows``."""


def attend_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    sliding_window: int | None = None,
    rows: RowCache | None = None,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Attend from one query per row to what ``rows`` holds, and write the new tokens there.

    Without ``rows`` this is a prefill, and transformers' own attention computes it.

    Args:
        module: the attention layer.
        query: (rows, query heads, tokens, head size).
        key: (rows, key-value heads, tokens, head size), and ``value`` likewise.
        value: see ``key``.
        attention_mask: None.
        scaling: factor of the products of queries and keys.
        sliding_window: tokens that a query attends to; None or 0 for all.
        rows: keys and values of the batch, in a decode step of one token a row.
        **options: further arguments of transformers' attention.

    Returns:
        The result, (rows, tokens, query heads, head size), and no attention weights.
    """
    assert attention_mask is None, "causal attention needs no mask"
    if rows is not None:
        layer = module.layer_idx
        assert isinstance(layer, int)
        newest = (heads[:, :, 0] for heads in (query, key, value))
        attended = rows.attend(layer, *newest, scaling=scaling, sliding_window=sliding_window)
        return attended[:, None], None
    band = _band(query.shape[2], key.shape[2], sliding_window, query.device)
    prefilled: tuple[torch.Tensor, None] = sdpa_attention_forward(
        module, query, key, value, band, scaling=scaling, **options
    )
    return prefilled


def _band(
    new: int, tokens: int, sliding_window: int | None, device: torch.device
) -> torch.Tensor | None:
    """Return the mask of a prefill of the last ``new`` of some tokens, (1, 1, new, tokens).

    True means that a token (row) attends to another (column). Returns None if all tokens are new
    and none is outside the window, so that each attends to all before it.
    """
    if new == tokens and (not sliding_window or tokens <= sliding_window):
        return None
    num_known = tokens - new
    visible = torch.ones((new, tokens), dtype=torch.bool, device=device).tril(num_known)
    if sliding_window:
        visible = visible.triu(num_known + 1 - sliding_window)
    return visible[None, None]


AttentionInterface.register(ATTENTION, attend_rows)
