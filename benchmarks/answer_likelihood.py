"""Does the likelihood of the gold answer say where a solution goes wrong, at a price that pays?

    python -m benchmarks.answer_likelihood [--json] [--seed 100] [--keep FOLDER]
    python -m benchmarks.answer_likelihood --settings truth.yaml --data FOLDER --keep FOLDER
        [--subset gsm8k] [--published test.jsonl] [--mark "####"]

Behind each prefix of a solution and the dataset's answer mark, the completer reads the gold answer
and the other answers that were sampled for the problem. All prefixes have N rollouts, as in a
pilot. Without ``--settings`` the completers of ``benchmarks.pilot`` solve word problems, and the
oracle is the truth. With it, measures the draws of ``benchmarks.human_truth --keep``.

Results are the bits that the likelihood adds about rollouts and about the truth, cross-fitted by
problem; reliability curves; the price of a prompt token; and the tokens that ``adaptive`` would
save.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.annotated import NUM_GOLD
from benchmarks.answer_cases import Case, made, published
from benchmarks.answer_information import (
    FOLDS,
    Fitted,
    Floats,
    Outcomes,
    bits,
    cross_fitted,
    folds_of,
    one_by_one,
    reliability,
    resamples,
)
from benchmarks.answer_prefixes import READINGS, Prefixes, log_odds_right, truth_by_step
from benchmarks.answer_prices import prices
from benchmarks.answer_reading import AnswerReader, Reading, candidates_of
from benchmarks.answer_savings import annotators_of, compare, label
from benchmarks.command import Benchmark, Size
from benchmarks.human_rows import SUBSETS
from benchmarks.report import Result
from shepherd.annotators.adaptive import AdaptiveSettings
from shepherd.annotators.learned_rates import learn_rates
from shepherd.annotators.problem import Pool, read_pool
from shepherd.annotators.rates import Rates

CONFIDENCE = AdaptiveSettings().confidence


def run(options: argparse.Namespace) -> list[Result]:
    """Measure each completer.

    Raises:
        ValueError: only one of ``--settings`` and ``--data`` is given, or a file cannot be read.
    """
    if bool(options.settings) != bool(options.data):
        raise ValueError("--settings and --data belong together: give both or neither")
    cases = published(options) if options.settings else made(options)
    return [result for case in cases for result in measure(case, options)]


def measure(case: Case, options: argparse.Namespace) -> Iterator[Result]:
    """Yield all results of one completer."""
    reader = AnswerReader(case.checkpoint, case.template, case.mark)
    candidates = candidates_of(case.work)
    readings = [reader.read(one, candidates[one.problem_id]) for one in case.work.by_problem]
    del reader
    pool = read_pool(case.rollouts.rollouts)
    prefixes = Prefixes.of(case.work, pool, [one.logs for one in readings])
    weights = resamples(len(case.work.by_problem))
    results = [
        *size(case, prefixes, readings),
        *about_rollouts(prefixes, weights),
        *about_truth(case, prefixes, pool, weights),
        *prices(case, options.prompts, readings),
    ]
    yield from (replace(one, name=f"{case.name}: {one.name}") for one in results)


def size(case: Case, prefixes: Prefixes, readings: Sequence[Reading]) -> Iterator[Result]:
    """Yield what was measured on."""
    yield Result("problems", len(case.work.by_problem), "problems")
    alone = [all(one.others is None for one in reading.logs.values()) for reading in readings]
    yield Result("problems without another answer", sum(alone), "problems")
    yield Result("prefixes", len(prefixes.texts), "prefixes")
    yield Result("prefixes that are right", float(prefixes.truth.mean()), "share")
    yield Result("rollouts that are right", _share_right(prefixes), "share")


def _share_right(prefixes: Prefixes) -> float:
    right, wrong = prefixes.counts.sum(axis=0).tolist()
    return float(right / (right + wrong))


def about_rollouts(prefixes: Prefixes, weights: NDArray[np.int64]) -> Iterator[Result]:
    """Yield the bits about the outcomes of rollouts, and reliability curves."""
    successes, failures = prefixes.counts.T.astype(np.float64)
    outcomes = Outcomes(successes, failures, prefixes.problems, is_beta=True)
    without = cross_fitted(prefixes.place, outcomes)
    added = cross_fitted(np.column_stack([prefixes.place, prefixes.read]), outcomes)
    yield from bits("all rollouts of a prefix", without, added, outcomes, weights)
    singles = dict(zip(READINGS, prefixes.read.T, strict=True))
    yield from one_by_one("all rollouts of a prefix", prefixes.place, singles, outcomes, weights)
    single = replace(outcomes, is_beta=False)
    one, informed = (_of_one_rollout(fitted, outcomes) for fitted in (without, added))
    yield from bits("one rollout", one, informed, single, weights)
    yield from reliability("rollouts, without", without.means, outcomes)
    yield from reliability("rollouts, with", added.means, outcomes)


def _of_one_rollout(fitted: Fitted, outcomes: Outcomes) -> Fitted:
    """Return the mean loss of a single rollout of each prefix."""
    means = np.clip(fitted.means, 1e-6, 1 - 1e-6)
    right, wrong = outcomes.successes, outcomes.failures
    losses = -(right * np.log2(means) + wrong * np.log2(1 - means)) / np.maximum(right + wrong, 1)
    return replace(fitted, losses=losses)


def about_truth(
    case: Case, prefixes: Prefixes, pool: Pool, weights: NDArray[np.int64]
) -> Iterator[Result]:
    """Yield the bits about the truth beyond each kind of knowledge, then the savings."""
    rates = cross_fitted_rates(case, pool)
    truth = Outcomes(prefixes.truth, 1 - prefixes.truth, prefixes.problems)
    log_odds = {
        number: _column(prefixes, log_odds_right(case.work.by_problem, pool, rates, number))
        for number in (0, 1, case.num_rollouts)
    }
    known = {"place and outcome": prefixes.place}
    for number, column in log_odds.items():
        known[f"the belief, {number} rollouts"] = np.column_stack([prefixes.place, column])
    for what, columns in known.items():
        without = cross_fitted(columns, truth)
        added = cross_fitted(np.column_stack([columns, prefixes.read]), truth)
        yield from bits(f"truth beyond {what}", without, added, truth, weights)
        yield from reliability(f"truth beyond {what}, without", without.means, truth)
        yield from reliability(f"truth beyond {what}, with", added.means, truth)
    singles = dict(zip(READINGS, prefixes.read.T, strict=True))
    yield from one_by_one("truth beyond place and outcome", prefixes.place, singles, truth, weights)
    pilot = 1 / (1 + np.exp(-log_odds[case.num_rollouts]))
    yield from savings(case, prefixes, pool, rates, log_odds[0], pilot, weights)


def _column(prefixes: Prefixes, log_odds: Sequence[dict[str, float]]) -> Floats:
    numbered = zip(prefixes.problems.tolist(), prefixes.texts, strict=True)
    return np.array([log_odds[number][text] for number, text in numbered])


def cross_fitted_rates(case: Case, pool: Pool) -> list[Rates]:
    """Return by problem the rates that are learned from the problems of the other folds."""
    problems = case.work.by_problem
    folds = folds_of(np.arange(len(problems)))
    by_fold = [
        learn_rates(
            [one for one, of_one in zip(problems, folds, strict=True) if of_one != fold],
            pool,
            case.start,
        )
        for fold in range(FOLDS)
    ]
    return [by_fold[fold] for fold in folds]


def savings(
    case: Case,
    prefixes: Prefixes,
    pool: Pool,
    rates: Sequence[Rates],
    log_odds: Floats,
    pilot: Floats,
    weights: NDArray[np.int64],
) -> Iterator[Result]:
    """Yield tokens and accuracy of ``adaptive``, with the likelihood in its belief and without.

    The odds are fitted to the posterior of the pilot, ``pilot``, as a run could; and to the truth,
    as no run can: a bound. ``half`` takes half of their logarithm, as neighbours are near-copies.
    """
    known = np.column_stack([prefixes.place, log_odds])
    both = np.column_stack([known, prefixes.read])
    truth = truth_by_step(case.work)
    nothing: list[dict[str, float]] = [{} for _ in case.work.by_problem]
    variants = {"today": nothing}
    for source, target in {"pilot": pilot, "truth": prefixes.truth}.items():
        outcomes = Outcomes(target, 1 - target, prefixes.problems)
        logits = [_logits(cross_fitted(design, outcomes).means) for design in (known, both)]
        for share, name in ((1.0, ""), (0.5, ", half")):
            variants[f"fitted to the {source}{name}"] = _by_problem(
                prefixes, share * (logits[1] - logits[0]), len(case.work.by_problem)
            )
    labelled = {}
    for name, odds in variants.items():
        annotators = annotators_of(rates, case.num_rollouts, CONFIDENCE, odds)
        labelled[name] = label(case.work, pool, annotators, truth)
        yield from compare(f"adaptive, {name}", labelled[name], labelled["today"], weights)


def _logits(means: Floats) -> Floats:
    clipped = np.clip(means, 1e-4, 1 - 1e-4)
    logits: Floats = np.log(clipped / (1 - clipped))
    return logits


def _by_problem(prefixes: Prefixes, values: Floats, num_problems: int) -> list[dict[str, float]]:
    by_problem: list[dict[str, float]] = [{} for _ in range(num_problems)]
    rows = zip(prefixes.problems.tolist(), prefixes.texts, values.tolist(), strict=True)
    for number, text, value in rows:
        by_problem[number][text] = value
    return by_problem


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files of published solutions, and the mark before answers."""
    parser.add_argument("--settings", type=Path, help="YAML file of human_truth: the completer")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of ProcessBench's files"
    )
    parser.add_argument(
        "--subset", choices=sorted(SUBSETS), default="gsm8k", help="file of --data (default gsm8k)"
    )
    parser.add_argument(
        "--published", type=Path, metavar="FILE", help="published problems: their gold answers"
    )
    parser.add_argument("--mark", help="text before an answer (default: that of the dataset)")


BENCHMARK = Benchmark(
    "answer_likelihood",
    __doc__,
    run,
    sizes=[
        Size("seed", 100, 0, "seed of problems, models and draws of word problems"),
        Size("problems", 60, 5, "problems whose solutions are labelled, at most"),
        Size("gold", NUM_GOLD, 8, "word problems that the models are fine-tuned on"),
        Size("prompts", 64, 4, "prompts whose reading and writing is timed"),
    ],
    resumes=True,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
