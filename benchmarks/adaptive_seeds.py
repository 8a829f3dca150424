"""Is ``adaptive`` as accurate as ``monte_carlo`` with N = 8, and at what share of its tokens?

    python -m benchmarks.adaptive_seeds [--json] [--seeds 10] [--first-seed 0] [--keep FOLDER]
        [--confidence 0.96]

The two annotators differ by less than seeds do, so this measures more seeds than
``label_quality``, in the same setting: the demo's generator solves 100 fresh word problems a seed,
its completer draws the rollouts, and the oracle is the truth. Seeds 100 to 103 settled the
defaults and are not measured.
"""

import argparse
import sys
from functools import partial
from statistics import mean, stdev

from benchmarks.annotated import NUM_GOLD, demo_solutions, roll_out
from benchmarks.annotator_labels import N, replay
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least, at_most
from benchmarks.seeds import map_seeds
from shepherd.agreement import label_quality
from shepherd.annotators.adaptive import AdaptiveSettings
from shepherd.annotators.monte_carlo import MonteCarlo

CONFIDENCE = AdaptiveSettings().confidence


def run(options: argparse.Namespace) -> list[Result]:
    """Measure all seeds; return the difference of each, their mean and its standard error."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    by_seed = map_seeds(partial(measure, options=options), seeds)
    gains = [seed["adaptive"][0] - seed["monte_carlo"][0] for seed in by_seed]
    token_shares = [seed["adaptive"][1] / seed["monte_carlo"][1] for seed in by_seed]
    error = stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return [
        *(
            Result(f"seed {seed}, gain", gain, "share")
            for seed, gain in zip(seeds, gains, strict=True)
        ),
        Result("monte_carlo", mean(seed["monte_carlo"][0] for seed in by_seed), "share"),
        Result("adaptive", mean(seed["adaptive"][0] for seed in by_seed), "share"),
        at_least("gain over monte_carlo", mean(gains), "share", 0.0),
        Result("its standard error", error, "share"),
        at_most("of monte_carlo's tokens", mean(token_shares), "share", 0.15),
    ]


def measure(seed: int, options: argparse.Namespace) -> dict[str, tuple[float, int]]:
    """Return the share of right labels and the number of tokens of both annotators."""
    work = demo_solutions(
        options.folder / f"seed-{seed}",
        seed=seed,
        num_problems=options.problems,
        num_gold=options.gold,
    )
    rollouts = roll_out(work, "completer", [MonteCarlo(N)])
    measured = {}
    adaptive = AdaptiveSettings(num_rollouts=N, confidence=options.confidence).annotator()
    for annotator in (MonteCarlo(N), adaptive):
        labels = replay(annotator.name, annotator, work, rollouts)
        quality = label_quality(labels.frame, work.truth, work.steps)
        measured[labels.name] = quality["agreement"].item(), labels.tokens
    return measured


BENCHMARK = Benchmark(
    "adaptive_seeds",
    __doc__,
    run,
    sizes=[
        Size("seeds", 10, 1, "seeds to measure"),
        Size("first-seed", 0, 0, "the first of them"),
        Size("confidence", CONFIDENCE, CONFIDENCE, "at which adaptive calls a step decided"),
        Size("problems", 100, 1, "word problems of a seed whose solutions are labelled"),
        Size("gold", NUM_GOLD, 8, "word problems of a seed that the models are fine-tuned on"),
    ],
    resumes=True,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
