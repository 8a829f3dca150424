"""How many bits do covariates of prefixes add about the outcomes of rollouts and about the truth?

Predictions are cross-fitted: those of a problem come from a model that was fitted on other
problems. Losses are in bits, and intervals are those of a bootstrap over problems.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import Result
from shepherd.intervals import bootstrap_weights

Floats = NDArray[np.float64]

FOLDS = 5
RIDGE = 30.0
"""Strength of the penalty on standardized coefficients: a coefficient of 0.26 costs one nat.

Prefixes of a problem are alike, so that weaker penalties fit problems instead of prefixes."""
NUM_RESAMPLES = 2_000
NUM_BINS = 10


@dataclass(frozen=True)
class Outcomes:
    """What is predicted of each of n prefixes: successes and failures, (n,).

    ``problems`` are numbers of problems, (n,). ``is_beta`` says that the outcomes of a prefix are
    correlated, by a Beta distributed rate; without it, they are independent.
    """

    successes: Floats
    failures: Floats
    problems: NDArray[np.int64]
    is_beta: bool = False


@dataclass(frozen=True)
class Fitted:
    """Cross-fitted predictions of n prefixes."""

    losses: Floats
    """The loss of all outcomes of a prefix together, in bits, (n,)."""

    means: Floats
    """The probability of a success, (n,)."""

    concentration: float
    """The mean concentration of the Beta distributions; infinite for independent outcomes."""


def folds_of(problems: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each prefix; ids are hashes, so that their order is random."""
    return problems % FOLDS


def cross_fitted(covariates: Floats, outcomes: Outcomes) -> Fitted:
    """Predict each fold with the model that is fitted on the other folds.

    ``covariates`` are (n, columns), without a constant.
    """
    folds = folds_of(outcomes.problems)
    losses, means = np.zeros(len(folds)), np.zeros(len(folds))
    concentrations = []
    counts = torch.tensor(np.stack([outcomes.successes, outcomes.failures]))
    for fold in np.unique(folds):
        is_other = torch.tensor(folds != fold)
        centre, spread = covariates[is_other].mean(axis=0), covariates[is_other].std(axis=0)
        scaled = (covariates - centre) / np.where(spread > 0, spread, 1.0)
        design = torch.tensor(np.column_stack([np.ones(len(scaled)), scaled]))
        weights, log_concentration = _fit(
            design[is_other], counts[:, is_other], is_beta=outcomes.is_beta
        )
        logits = design @ weights
        lost = _losses(logits, log_concentration, counts) / np.log(2)
        losses[folds == fold] = lost[~is_other].numpy()
        means[folds == fold] = torch.sigmoid(logits)[~is_other].numpy()
        if log_concentration is not None:
            concentrations.append(float(log_concentration.exp()))
    return Fitted(losses, means, float(np.mean(concentrations)) if concentrations else np.inf)


def _fit(
    design: torch.Tensor, counts: torch.Tensor, *, is_beta: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return coefficients, and the logarithm of the concentration, of the smallest loss."""
    weights = torch.zeros(design.shape[1], dtype=torch.float64, requires_grad=True)
    log_concentration = torch.zeros((), dtype=torch.float64, requires_grad=True)
    free = [weights, log_concentration] if is_beta else [weights]
    optimizer = torch.optim.LBFGS(free, max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = _losses(design @ weights, log_concentration if is_beta else None, counts).sum()
        value = value + RIDGE / 2 * (weights[1:] ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch's own signature
        return float(value.detach())

    optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch's own signature
    return weights.detach(), log_concentration.detach() if is_beta else None


def _losses(
    logits: torch.Tensor, log_concentration: torch.Tensor | None, counts: torch.Tensor
) -> torch.Tensor:
    """Return the negative log-likelihood of each prefix's outcomes, in nats."""
    successes, failures = counts
    if log_concentration is None:
        softplus = torch.nn.functional.softplus
        independent: torch.Tensor = successes * softplus(-logits) + failures * softplus(logits)
        return independent
    means = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
    concentration = log_concentration.clamp(-7, 7).exp()
    return (
        _log_rising(concentration, successes + failures)
        - _log_rising(means * concentration, successes)
        - _log_rising((1 - means) * concentration, failures)
    )


def _log_rising(start: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of start (start + 1) ... (start + count - 1)."""
    return torch.lgamma(start + count) - torch.lgamma(start)


def bits(
    name: str, without: Fitted, added: Fitted, outcomes: Outcomes, weights: NDArray[np.int64]
) -> Iterator[Result]:
    """Yield the loss without and with the added covariates, and the bits that they add.

    ``weights`` are resamples of problems, (resamples, problems).
    """
    yield Result(f"{name}: loss without", float(without.losses.mean()), "bits a prefix")
    yield Result(f"{name}: loss with", float(added.losses.mean()), "bits a prefix")
    yield from gain(name, without, added, outcomes, weights)
    if outcomes.is_beta:
        yield Result(f"{name}: concentration without", without.concentration, "rollouts")
        yield Result(f"{name}: concentration with", added.concentration, "rollouts")


def gain(
    name: str, without: Fitted, added: Fitted, outcomes: Outcomes, weights: NDArray[np.int64]
) -> Iterator[Result]:
    """Yield the bits that the added covariates save, with their interval."""
    gains = without.losses - added.losses
    low, high = ratio_interval(gains, np.ones(len(gains)), outcomes.problems, weights)
    yield Result(f"{name}: gain", float(gains.mean()), "bits a prefix")
    yield Result(f"{name}: gain, low", low, "bits a prefix")
    yield Result(f"{name}: gain, high", high, "bits a prefix")


def one_by_one(
    name: str,
    known: Floats,
    columns: Mapping[str, Floats],
    outcomes: Outcomes,
    weights: NDArray[np.int64],
) -> Iterator[Result]:
    """Yield the bits that each column adds alone; the best of them is chosen in hindsight."""
    without = cross_fitted(known, outcomes)
    for column, values in columns.items():
        added = cross_fitted(np.column_stack([known, values]), outcomes)
        yield from gain(f"{name}, {column} alone", without, added, outcomes, weights)


def resamples(num_problems: int) -> NDArray[np.int64]:
    """Return resamples of problems, (resamples, problems)."""
    return bootstrap_weights("answer_likelihood", num_problems, num_resamples=NUM_RESAMPLES, seed=0)


def ratio_interval(
    parts: Floats, totals: Floats, problems: NDArray[np.int64], weights: NDArray[np.int64]
) -> tuple[float, float]:
    """Return both ends of the 95 % interval of sum(parts) / sum(totals), by resampled problems."""
    num_problems = weights.shape[1]
    of_parts = weights @ np.bincount(problems, parts, num_problems)
    of_totals = weights @ np.bincount(problems, totals, num_problems)
    low, high = np.nanquantile(of_parts / np.where(of_totals, of_totals, np.nan), [0.025, 0.975])
    return float(low), float(high)


def reliability(name: str, means: Sequence[float] | Floats, outcomes: Outcomes) -> Iterator[Result]:
    """Yield the reliability curve in bins of equally many prefixes, and its mean distance."""
    order = np.argsort(means, kind="stable")
    predicted = np.asarray(means)
    totals = outcomes.successes + outcomes.failures
    distance = 0.0
    for number, part in enumerate(np.array_split(order, NUM_BINS), start=1):
        if not totals[part].sum():
            continue
        expected = float(np.average(predicted[part], weights=totals[part]))
        observed = float(outcomes.successes[part].sum() / totals[part].sum())
        distance += abs(expected - observed) * totals[part].sum() / totals.sum()
        yield Result(f"{name}: bin {number}, predicted", expected, "share")
        yield Result(f"{name}: bin {number}, observed", observed, "share")
    yield Result(f"{name}: calibration error", float(distance), "share")
