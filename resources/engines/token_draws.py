"""Draw tokens from logits with random numbers that depend on the request alone."""

import numpy as np
import torch
from numpy.typing import NDArray

NUCLEUS_TOKENS = 256
"""The likeliest tokens among which a nucleus is looked for first."""


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
    """Return one token a row of (rows, vocabulary) logits by the inverse of its distribution.

    Temperature 0 takes the likeliest token. With ``top_p`` below 1 tokens are drawn from the
    smallest set of the likeliest that has that share of the probability.
    """
    greedy = temperatures == 0
    if greedy.all():
        return logits.argmax(-1)
    scale = torch.from_numpy(np.where(greedy, 1, temperatures)).to(logits.device)
    probability = (logits.float() / scale[:, None]).softmax(-1)
    if (top_p < 1).any():
        probability = _nucleus(probability, torch.from_numpy(top_p).to(logits.device))
    cumulative = probability.cumsum(-1)
    target = torch.from_numpy(uniform).to(logits.device)[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True)[:, 0]
    if greedy.any():
        chosen = torch.from_numpy(greedy).to(logits.device)
        drawn = torch.where(chosen, logits.argmax(-1), drawn)
    return drawn


def _nucleus(probability: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Return (rows, vocabulary) probabilities with 0 for tokens outside the nucleus of a row.

    A token is outside if the likelier ones have the share ``top_p`` already. Rows of 1 keep all.
    """
    # A whole vocabulary takes seconds to sort on a CPU, and a nucleus seldom needs it.
    size = min(NUCLEUS_TOKENS, probability.shape[-1])
    while True:
        likeliest, tokens = probability.topk(size, -1)
        cumulative = likeliest.cumsum(-1)
        if size == probability.shape[-1] or bool(
            ((cumulative[:, -1] >= top_p) | (top_p == 1)).all()
        ):
            break
        size = min(8 * size, probability.shape[-1])
    is_inside = cumulative - likeliest < top_p[:, None]
    nucleus = torch.zeros_like(probability).scatter_(-1, tokens, likeliest * is_inside)
    return torch.where(top_p[:, None] < 1, nucleus, probability)
