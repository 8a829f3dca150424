"""Draw tokens from logits with random numbers that depend on the request alone."""

import numpy as np
import torch
from numpy.typing import NDArray


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
    logits: torch.Tensor, temperatures: NDArray[np.float32], uniform: NDArray[np.float32]
) -> torch.Tensor:
    """Return one token a row of (rows, vocabulary) logits by the inverse of its distribution.

    Temperature 0 takes the likeliest token.
    """
    greedy = temperatures == 0
    if greedy.all():
        return logits.argmax(-1)
    scale = torch.from_numpy(np.where(greedy, 1, temperatures)).to(logits.device)
    cumulative = (logits.float() / scale[:, None]).softmax(-1).cumsum(-1)
    target = torch.from_numpy(uniform).to(logits.device)[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True)[:, 0]
    if greedy.any():
        chosen = torch.from_numpy(greedy).to(logits.device)
        drawn = torch.where(chosen, logits.argmax(-1), drawn)
    return drawn
