"""How many tokens do merged prefixes and stopping at the first success save?

    python -m benchmarks.rollout_cost [--json] [--problems 100]

Uses the demo's generator and completer. The baseline is the paper's method: N = 8 rollouts from
every step of every solution. All three methods give the same hard labels (asserted).
"""

import argparse
import sys

import polars as pl

from benchmarks.annotated import (
    NUM_GOLD,
    AnnotatedSolutions,
    demo_solutions,
    roll_out,
    shown_tokens,
)
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_most
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.problem import Annotator, Replay, label_steps, replay_problems
from shepherd.rollouts import distinct_prefixes

N = 8
"""Rollouts of a prefix."""
MAX_SHARE = 0.4
"""The target: share of the baseline's tokens."""


def run(options: argparse.Namespace) -> list[Result]:
    """Draw all rollouts and replay each method; return completer tokens a hard label."""
    work = demo_solutions(
        options.folder, seed=0, num_problems=options.problems, num_gold=options.gold
    )
    exact, stopping = MonteCarlo(N), FirstSuccess(N)
    rolled = roll_out(work, "completer", [exact])
    merged, stopped = (
        replay_problems(annotator, work.by_problem, rolled.rollouts)
        for annotator in (exact, stopping)
    )
    assert hard_labels(exact, work, merged).equals(hard_labels(stopping, work, stopped))
    num_labels = work.steps.filter(~pl.col("is_last")).height
    prefixes = distinct_prefixes(work.steps, work.problems)
    served = dict(prefixes.select("prefix_id", "num_steps_served").iter_rows())
    exhaustive = shown_tokens(merged, served) / num_labels
    with_merging, with_both = (shown_tokens(replays) / num_labels for replays in (merged, stopped))
    return [
        Result("labels", num_labels, "steps that are not the last"),
        Result("exhaustive N = 8", exhaustive, "completer tokens a label"),
        Result("merging", with_merging, "completer tokens a label", exhaustive),
        Result("merging and first success", with_both, "completer tokens a label", exhaustive),
        Result("saved by merging", 1 - with_merging / exhaustive, "of the exhaustive tokens"),
        Result("saved by first success", (with_merging - with_both) / exhaustive, "of the same"),
        at_most("share of the exhaustive tokens", with_both / exhaustive, "share", MAX_SHARE),
    ]


def hard_labels(annotator: Annotator, work: AnnotatedSolutions, replays: list[Replay]) -> pl.Series:
    """Return the hard label of each step."""
    return label_steps(annotator, work.steps, replays)["hard"]


BENCHMARK = Benchmark(
    "rollout_cost",
    __doc__,
    run,
    sizes=[
        Size("problems", 100, 1, "word problems whose solutions are labelled"),
        Size("gold", NUM_GOLD, 8, "word problems that the models are fine-tuned on"),
    ],
    resumes=True,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
