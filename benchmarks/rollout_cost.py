"""What merging identical prefixes and stopping at the first success save, on identical labels.

    python -m benchmarks.rollout_cost [--json]

The demo's generator and completer, 100 problems. The baseline is the paper's way: N = 8 rollouts
from every step of every solution. All three ways give the same hard labels (asserted).
"""

import tempfile
from pathlib import Path

import polars as pl

from benchmarks.annotated import Annotated, demo_solutions, roll_out, shown_tokens
from benchmarks.report import Result, at_most, main
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.problem import Annotator, Replay, label_steps, replay_problems
from shepherd.rollouts import distinct_prefixes

NUM_PROBLEMS = 100
N = 8
MAX_SHARE = 0.4


def measure(folder: Path) -> list[Result]:
    """Roll out exhaustively and replay each way; return completer tokens per hard label."""
    work = demo_solutions(folder, seed=0, num_problems=NUM_PROBLEMS)
    exact, stopping = (way(N) for way in (MonteCarlo, FirstSuccess))
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


def hard_labels(annotator: Annotator, work: Annotated, replays: list[Replay]) -> pl.Series:
    """Return the hard label of each step."""
    return label_steps(annotator, work.steps, replays)["hard"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main("rollout_cost", lambda: measure(Path(temporary)))
