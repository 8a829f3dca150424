"""The PRM scores labelled solutions of problems that it has not learned from."""

from pathlib import Path

import dagster as dg
import polars as pl

from assets.definitions import assets_of, names_of, resources_of
from assets.deployment import Deployment
from resources.storage.home import Home
from resources.storage.io_manager import Partition
from shepherd.schemas import HELD_OUT_SCORES, TABLES
from shepherd.settings import ModelSettings, ScoringSettings, TrainingSet
from shepherd.training_sets import held_out_solutions, process_examples
from tests.profiles import TINY
from tests.small_lake import DATASET, small_lake
from training.scoring import Scorer

FRAMES = small_lake()
HALF = TrainingSet(validation_share=0.5)


def test_what_is_scored_is_what_no_training_reads() -> None:
    held_out = held_out_solutions(FRAMES["labeled_solutions"], FRAMES["problems"], HALF, 0)
    read = process_examples(
        FRAMES["labeled_solutions"].lazy(), HALF, ["monte_carlo"], "train", 0
    ).collect()
    everything = set(FRAMES["labeled_solutions"]["problem_id"])
    assert set(held_out["problem_id"]) == everything - set(read["problem_id"])
    assert 0 < held_out["problem_id"].n_unique() < len(everything)
    twice = pl.concat([FRAMES["labeled_solutions"]] * 2)
    assert held_out_solutions(twice, FRAMES["problems"], HALF, 0).equals(held_out)


def test_the_scores_are_those_of_the_model_in_every_shard(base: Path, tmp_path: Path) -> None:
    model = ModelSettings(base=str(base), scoring=ScoringSettings(format="tags"))
    settings = TINY.model_copy(
        update={"process_reward_model": model, "training_set": HALF, "shards": 2}
    )
    deployment = Deployment(settings, Home(tmp_path))
    shards = (Partition(DATASET, "00"), Partition(DATASET, "01"))
    for number, at in enumerate(shards):
        for name in ("problems", "labeled_solutions"):
            ids = FRAMES["problems"]["problem_id"][number::2].to_list()
            part = FRAMES[name].filter(pl.col("problem_id").is_in(ids))
            deployment.lake.write(TABLES[name], part, *at)
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize(
            assets_of(settings),
            selection=dg.AssetSelection.assets("held_out_scores"),
            resources=resources_of(deployment),
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": shards[0].key,
                "dagster/asset_partition_range_end": shards[1].key,
            },
        ).success
    scores = deployment.lake.read(HELD_OUT_SCORES)
    expected = held_out_solutions(FRAMES["labeled_solutions"], FRAMES["problems"], HALF, 0)
    assert set(scores["solution_id"]) == set(expected["solution_id"])
    scorer = Scorer(base, kind="process", template="plain", format="tags")
    row = expected.row(0, named=True)
    [found] = scorer.score([row["question"]], [row["steps"]])
    [stored] = scores.filter(solution_id=row["solution_id"])["step_scores"].to_list()
    assert stored == found


def test_only_a_profile_that_holds_problems_out_has_the_asset() -> None:
    assert "held_out_scores" not in names_of(assets_of(TINY))
    with_share = TINY.model_copy(update={"training_set": HALF})
    assert "held_out_scores" in names_of(assets_of(with_share))
