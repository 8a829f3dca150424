from pathlib import Path

import pytest
from fake_engine import FakeEngine

from benchmarks.kill_resume import KilledStage, run_with_kills
from resources.sampling.stage import CompletionModel
from shepherd.annotators.adaptive import AdaptiveSettings
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.problem import Annotator
from shepherd.annotators.tree_search import TreeSearch

CAPACITY = 16


def slow_sampler() -> CompletionModel:
    return CompletionModel(
        "slow", "plain", {"weights": "none"}, lambda: FakeEngine(capacity=CAPACITY, seconds=0.002)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "annotator",
    [
        MonteCarlo(8),
        TreeSearch(8, num_searches=100),
        AdaptiveSettings().annotator(),
        None,
    ],
    ids=["monte_carlo", "tree_search", "adaptive", "judge"],
)
def test_a_killed_stage_repeats_nothing_finished_and_ends_in_the_same_bytes(
    tmp_path: Path, annotator: Annotator | None
) -> None:
    undisturbed, killed = (
        run_with_kills(
            KilledStage(slow_sampler, annotator), folder, seed=3, max_kills=kills, max_records=50
        )
        for folder, kills in ((tmp_path / "undisturbed", 0), (tmp_path / "killed", 6))
    )
    assert undisturbed.num_kills == 0
    assert killed.num_kills >= 3
    assert killed.output == undisturbed.output
    assert killed.num_repeated == 0
    # What was in flight at a kill is all that is drawn twice.
    twice = killed.num_added - undisturbed.num_added
    assert 0 < twice <= killed.num_kills * 2 * CAPACITY
