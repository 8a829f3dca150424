"""Confidence intervals of shares."""

from functools import cache
from math import sqrt

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
