"""Draw tokens from logits with random numbers that depend on the request alone."""

import numpy as np
import torch
from numpy.typing import NDArray

NUCLEUS_TOKENS = 256
"""The likeliest tokens among which a nucleus is looked for first."""

PART_LOGITS = 2**21
"""Logits whose exponentials are summed at once."""


def uniform_numbers(seeds: NDArray[np.uint64], counters: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return numbers in [0, 1), float32, each a function of its seed and counter alone.

    SplitMix64 (Steele et al., 2014) over a state mixed from the two; 24 bits, which float32
    holds exactly.
    """
    with np.errstate(over="ignore"):
        bits = _mix(_mix(seeds) + counters.astype(np.uint64)) >> np.uint64(40)
    return bits.astype(np.float32) * np.float32(2.0**-24)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def draw_tokens(
    logits: torch.Tensor,
    temperatures: NDArray[np.float32],
    top_p: NDArray[np.float32],
    uniform: NDArray[np.float32],
) -> torch.Tensor:
    """Return a token for each row, (rows,), of (rows, vocabulary) logits.

    Tokens are drawn by inverse transform sampling; ``uniform`` is in [0, 1), (rows,).
    Temperature 0 takes the likeliest token. With ``top_p`` below 1 tokens are drawn from the
    smallest set of the likeliest that has that share of the probability.
    """
    greedy = temperatures == 0
    if greedy.all():
        return logits.argmax(-1)
    temperature = torch.from_numpy(np.where(greedy, 1, temperatures)).to(logits.device)[:, None]
    share = torch.from_numpy(top_p).to(logits.device)[:, None]
    target = torch.from_numpy(uniform).to(logits.device)[:, None]
    is_whole = top_p == 1
    if is_whole.all():
        drawn = _draw_from_all(logits, temperature, target)
    elif not is_whole.any():
        drawn = _draw_from_nucleus(logits, temperature, target, share)
    else:
        whole, cut = (
            torch.from_numpy(np.flatnonzero(rows)).to(logits.device)
            for rows in (is_whole, ~is_whole)
        )
        drawn = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
        drawn[whole] = _draw_from_all(logits[whole], temperature[whole], target[whole])
        drawn[cut] = _draw_from_nucleus(logits[cut], temperature[cut], target[cut], share[cut])
    if greedy.any():
        chosen = torch.from_numpy(greedy).to(logits.device)
        drawn = torch.where(chosen, logits.argmax(-1), drawn)
    return drawn


def _draw_from_all(
    logits: torch.Tensor, temperature: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Return a token for each of (rows, vocabulary) logits; ``target`` is uniform, (rows, 1)."""
    cumulative = (logits.float() / temperature).softmax(-1).cumsum(-1)
    return torch.searchsorted(cumulative, target * cumulative[:, -1:], right=True)[:, 0]


def _draw_from_nucleus(
    logits: torch.Tensor, temperature: torch.Tensor, target: torch.Tensor, top_p: torch.Tensor
) -> torch.Tensor:
    """Return a token for each of (rows, vocabulary) logits, all from the nucleus of its row.

    A token is outside if the likelier ones have the share ``top_p`` already, (rows, 1).
    """
    # In parts, each in the memory of the one before: new pages cost more than these sums.
    num_parts = -(-logits.numel() // PART_LOGITS)
    parts = zip(logits.chunk(num_parts), temperature.chunk(num_parts), strict=True)
    total = torch.cat([(part.float() / by).logsumexp(-1, keepdim=True) for part, by in parts])
    # A whole vocabulary takes seconds to sort on a CPU, and a nucleus seldom needs it.
    size = min(NUCLEUS_TOKENS, logits.shape[-1])
    while True:
        likeliest, tokens = logits.topk(size, -1)
        probability = (likeliest.float() / temperature - total).exp()
        cumulative = probability.cumsum(-1)
        if size == logits.shape[-1] or bool((cumulative[:, -1:] >= top_p).all()):
            break
        size = min(8 * size, logits.shape[-1])
    inside = probability * (cumulative - probability < top_p)
    # In the order of the vocabulary, as a draw from all of it.
    tokens, order = tokens.sort(-1)
    cumulative = inside.gather(-1, order).cumsum(-1)
    place = torch.searchsorted(cumulative, target * cumulative[:, -1:], right=True)
    return tokens.gather(-1, place)[:, 0]
