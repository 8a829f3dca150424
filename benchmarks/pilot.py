"""Does a pilot make ``adaptive`` better, with a strong completer and with weak ones?

    python -m benchmarks.pilot [--json] [--seed 100] [--keep FOLDER]

The demo's generator solves fresh word problems, and the oracle is the truth. Three completers draw
eight rollouts of each prefix: the demo's; the small model fine-tuned on few problems; and the same
at a temperature at which four of five rollouts fail. ``adaptive`` labels with the rates that are
set by hand, and with those learned from a pilot. Seed 100 is one of those that set the defaults.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks.annotated import (
    NUM_GOLD,
    AnnotatedSolutions,
    demo_solutions,
    roll_out,
    weak_completer,
)
from benchmarks.annotator_labels import AnnotatorLabels, N, replay
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least
from shepherd.agreement import label_quality
from shepherd.annotators.adaptive import Adaptive, AdaptiveSettings
from shepherd.annotators.learned_rates import learn_rates
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.pilot import pilot_problems
from shepherd.annotators.plausibility import share_wrong_of_right_solutions
from shepherd.annotators.problem import Annotator, read_pool
from shepherd.identity import shard_keys

WEAK_GOLD = 24
"""Problems that the weak completers are fine-tuned on."""

HOT = 1.5
"""The temperature of the weakest completer."""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure the annotators with each completer."""
    folder = options.folder / f"seed-{options.seed}"
    work = demo_solutions(
        folder, seed=options.seed, num_problems=options.problems, num_gold=options.gold
    )
    results: list[Result] = []
    for name, of_completer in with_completers(work, folder, options).items():
        results += measure(name, of_completer, options.pilot)
    return results


def with_completers(
    work: AnnotatedSolutions, folder: Path, options: argparse.Namespace
) -> dict[str, AnnotatedSolutions]:
    """Return the solutions with each completer's samplers and temperature, by its name."""
    num_gold = min(WEAK_GOLD, options.gold)
    weak = weak_completer(folder / "weak", seed=options.seed, num_gold=num_gold)
    hot = work.sampling.model_copy(update={"rollout_temperature": HOT})
    samplers = {**work.samplers, "weak": weak, "hot": replace(weak, name="hot")}
    return {
        "completer": work,
        "weak": replace(work, samplers=samplers),
        "hot": replace(work, samplers=samplers, sampling=hot),
    }


def measure(completer: str, work: AnnotatedSolutions, num_pilot: int) -> Iterator[Result]:
    """Yield the measures of the annotators with one completer; targets are those of a pilot."""
    rollouts = roll_out(work, completer, [MonteCarlo(N)])
    chosen = pilot_problems(work.problems, num_pilot, shard_keys(1)[0], 1)
    settings = AdaptiveSettings()
    rates = learn_rates(
        [problem for problem in work.by_problem if problem.problem_id in chosen],
        read_pool(rollouts.rollouts),
        settings.rates,
    )
    annotators: dict[str, Annotator] = {
        "monte_carlo": MonteCarlo(N),
        "by hand": Adaptive(N, settings.confidence, settings.rates),
        "pilot": Adaptive(N, settings.confidence, rates),
    }
    share_right = int(rollouts.rollouts["is_correct"].sum()) / rollouts.rollouts.height
    yield Result(f"{completer}: rollouts right", share_right, "share")
    accuracies = {}
    for name, annotator in annotators.items():
        labels = replay(name, annotator, work, rollouts)
        quality = label_quality(labels.frame, work.truth, work.steps).row(0, named=True)
        accuracies[name] = quality["agreement"] or 0.0
        yield from results_of(f"{completer}, {name}", quality, labels, work)
    # The rates that are set by hand are those of the demo's completer.
    baselines = ("monte_carlo",) if completer == "completer" else ("monte_carlo", "by hand")
    for baseline in baselines:
        label = f"{completer}: a pilot, against {baseline}"
        yield at_least(label, accuracies["pilot"], "share", accuracies[baseline])


def results_of(
    label: str, quality: dict[str, float], labels: AnnotatorLabels, work: AnnotatedSolutions
) -> Iterator[Result]:
    """Yield accuracy, F1, tokens, and the share of wrong labels in right solutions."""
    for name in ("agreement", "f1"):
        yield Result(f"{label} {name}", quality[name] or 0.0, "share")
    shares = share_wrong_of_right_solutions(labels.frame, work.steps, work.solutions)
    wrong = max(shares.values(), default=0.0)
    yield Result(f"{label} wrong steps of right solutions", wrong, "share")
    num_steps = work.steps.filter(~pl.col("is_last")).height
    yield Result(f"{label} tokens per label", labels.tokens / num_steps, "tokens")


BENCHMARK = Benchmark(
    "pilot",
    __doc__,
    run,
    sizes=[
        Size("seed", 100, 0, "seed of problems, models and draws"),
        Size("problems", 60, 2, "word problems whose solutions are labelled"),
        Size("pilot", 30, 1, "of these, problems of the pilot"),
        Size("gold", NUM_GOLD, 8, "word problems that the models are fine-tuned on"),
    ],
    resumes=True,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
