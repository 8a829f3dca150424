"""Confidence intervals of shares and of means over problems."""

from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from shepherd.identity import derive_seed

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@cache
def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return both ends of the 95 % Wilson score interval of a share (Wilson 1927)."""
    share = successes / trials
    scale = 1 + Z_95**2 / trials
    centre = (share + Z_95**2 / (2 * trials)) / scale
    margin = Z_95 * sqrt(share * (1 - share) / trials + Z_95**2 / (4 * trials**2)) / scale
    # Rounding alone takes the ends past 0, 1 and the share itself.
    return min(max(centre - margin, 0.0), share), max(min(centre + margin, 1.0), share)


def bootstrap_weights(
    name: str, num_problems: int, *, num_resamples: int, seed: int
) -> NDArray[np.int64]:
    """Draw bootstrap resamples of problems: how often each holds each, (resamples, problems).

    The resamples depend on ``name``, ``seed`` and the numbers alone.
    """
    rng = np.random.default_rng(derive_seed(seed, "bootstrap", name, 0))
    return rng.multinomial(num_problems, [1 / num_problems] * num_problems, size=num_resamples)


def bootstrap_interval(
    weights: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[float, float]:
    """Return both ends of the 95 % percentile bootstrap interval of a mean over problems.

    ``weights`` are of :func:`bootstrap_weights`, ``values`` are (problems,).
    """
    low, high = np.quantile(weights @ values / len(values), [0.025, 0.975])
    return float(low), float(high)
