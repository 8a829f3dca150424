"""The rates that ``adaptive`` assumes of a completer, and the success rates that follow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shepherd.annotators.first_error_belief import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """What ``adaptive`` assumes of a completer.

    The success rate of a prefix has a Beta distribution. A smaller concentration makes the rollouts
    of one prefix more alike: from a wrong prefix nearly all fail or nearly all succeed.
    """

    success_rates: tuple[float, ...]
    """Mean share of right rollouts from a right or mended prefix, by difficulty of the problem."""

    false_success_rate: float
    """Mean share of right rollouts from a wrong prefix."""

    mending_rate: float
    """Probability that the step after a wrong one mends the error."""

    weights: tuple[float, ...] = (1.0,)
    """Prior probabilities of the difficulties."""

    of_each_step: bool = False
    """Whether ``success_rates`` are the shares of right completions of each single step that is
    left, so that a prefix with k steps left has their power of k."""

    right_concentration: float = 3.0
    """Concentration of the success rates of right and mended prefixes."""

    wrong_concentration: float = 1.0
    """Concentration of the success rates of wrong prefixes."""

    def right_means(self, steps_left: Floats) -> Floats:
        """Return the mean success rates of right prefixes by difficulty, (D, n).

        ``steps_left``, (n,), are the steps that follow each prefix.
        """
        exponents = np.maximum(steps_left, 1) if self.of_each_step else np.ones_like(steps_left)
        means: Floats = np.array(self.success_rates)[:, None] ** exponents
        return means


def likelihoods(counts: Ints, steps_left: Floats, rates: Rates) -> Floats:
    """Return the probability of each prefix's rollouts by difficulty and state, (D, n, 3).

    ``counts`` are successes and failures, (n, 2). The states are right, wrong and mended.
    """
    successes, failures = counts.T
    means = rates.right_means(steps_left)
    right = likelihood(means, rates.right_concentration, successes, failures)
    wrong = likelihood(rates.false_success_rate, rates.wrong_concentration, successes, failures)
    return np.stack([right, np.broadcast_to(wrong, right.shape), right], axis=-1)


def likelihood(
    mean: float | Floats, concentration: float | Floats, successes: Ints, failures: Ints
) -> Floats:
    """Return the probability of sequences of outcomes, if the success rate is Beta distributed.

    ``mean`` and ``concentration`` are those of the Beta distribution. The arguments are broadcast.
    """
    rising_successes = _rising(mean * concentration, successes)
    rising_failures = _rising((1 - mean) * concentration, failures)
    return rising_successes * rising_failures / _rising(concentration, successes + failures)


def _rising(start: float | Floats, count: Ints) -> Floats:
    """Return start (start + 1) ... (start + count - 1); 1 if the count is 0."""
    product: Floats = np.ones(np.broadcast_shapes(np.shape(start), np.shape(count)))
    for i in range(int(np.max(count, initial=0))):
        product = product * np.where(count > i, start + i, 1.0)
    return product
