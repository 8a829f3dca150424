"""Quality checks warn of results that are sound but worth little."""

import dagster as dg
import polars as pl
import pytest
from frame_manager import result_of

from assets.checks.quality import unscored_steps_check
from profiles import TINY
from resources.storage.io_manager import Frames, Partition
from shepherd.schemas import CANDIDATE_SCORES

SHARDS = (Partition("words", "00"), Partition("words", "01"))


@pytest.mark.parametrize(
    ("scores", "unscored"), [([0.5, 0.0], (0, 0)), ([0.5, None], (2, 2)), ([None, None], (4, 2))]
)
def test_steps_past_the_window_are_counted_over_all_shards(
    scores: list[float | None], unscored: tuple[int, int]
) -> None:
    row = {"candidate_id": "c", "problem_id": "p", "reward_model": "process_reward_model"}
    frame = pl.DataFrame([{**row, "step_scores": scores}], schema=CANDIDATE_SCORES.schema)
    frames = Frames(SHARDS, lambda _: frame)
    result = result_of(unscored_steps_check(TINY), candidate_scores=frames)
    assert result.passed == (unscored == (0, 0))
    assert result.severity == dg.AssetCheckSeverity.WARN
    found = {name: value.value for name, value in result.metadata.items()}
    assert (found["unscored_steps"], found["unscored_candidates"]) == unscored
