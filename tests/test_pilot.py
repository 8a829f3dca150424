"""The pilot: which problems it takes, what is learned from it, and the checks of the rates."""

from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.annotation.oracle_labels import oracle_labels_of
from assets.annotation.pilot import learned, pilot_of
from assets.annotation.problems import problems_of
from assets.annotation.rollouts import rollouts_of
from assets.annotation.solutions import solutions_of
from assets.annotation.step_labels import annotators_of
from assets.annotation.steps import steps_of
from assets.checks.quality import rates_check, right_solutions_check
from assets.definitions import assets_of, resources_of
from assets.deployment import Deployment
from resources.storage.home import Home
from resources.storage.io_manager import Frames, Partition
from shepherd.annotators.adaptive import Adaptive, AdaptiveSettings
from shepherd.annotators.asked import asked_rollouts
from shepherd.annotators.learned_rates import STEP_RATES, learn_rates
from shepherd.annotators.pilot import Pilot, pilot_problems
from shepherd.annotators.plausibility import success_of_right_solutions
from shepherd.annotators.problem import label_steps, read_pool, read_problems, replay_problems
from shepherd.annotators.rates import Rates
from shepherd.dependencies import code_version
from shepherd.identity import shard_keys, shard_of
from shepherd.schemas import PILOT_RATES, TABLES, labels_table
from shepherd.settings import AnnotationSettings, Settings
from tests.frame_manager import result_of
from tests.profiles import TINY
from tests.small_lake import DATASET, NUM_ROLLOUTS, small_lake

FRAMES = small_lake()
AT = Partition(DATASET, "00")


def with_annotation(**fields: object) -> Settings:
    annotation = AnnotationSettings.model_validate(fields)
    return TINY.model_copy(update={"annotation": annotation, "shards": 1})


ADAPTIVE = {"kind": "adaptive", "num_rollouts": NUM_ROLLOUTS}
WITH_PILOT = with_annotation(
    annotators=[ADAPTIVE], train_on="adaptive", pilot={"num_problems": 4, "num_rollouts": 4}
)


@pytest.mark.parametrize("num_shards", [1, 3, 7, 12])
def test_the_pilot_is_split_over_the_shards(num_shards: int) -> None:
    ids = [f"problem {number}" for number in range(400)]
    problems = pl.DataFrame({"problem_id": ids, "split": ["train"] * 400})

    def chosen(problems: pl.DataFrame, num_problems: int) -> list[frozenset[str]]:
        keys = problems["problem_id"].map_elements(
            lambda one: shard_of(one, num_shards), return_dtype=pl.String
        )
        return [
            pilot_problems(problems.filter(keys == key), num_problems, key, num_shards)
            for key in shard_keys(num_shards)
        ]

    of_shards = chosen(problems, 20)
    assert len(frozenset().union(*of_shards)) == sum(map(len, of_shards)) == 20
    assert max(map(len, of_shards)) - min(map(len, of_shards)) <= 1
    # A larger pilot holds a smaller one, and another order changes nothing.
    for few, many in zip(of_shards, chosen(problems, 40), strict=True):
        assert few <= many
    assert chosen(problems.reverse(), 20) == of_shards
    tests = problems.with_columns(split=pl.lit("test"))
    assert not any(chosen(tests, 20))


def test_the_pilot_asks_for_all_rollouts_of_its_problems_alone() -> None:
    problems = read_problems(FRAMES["steps"], FRAMES["solutions"], FRAMES["problems"])
    pilot = Pilot(3, {problems[0].problem_id})
    asked, _ = asked_rollouts([pilot], problems, FRAMES["rollouts"], None)
    assert set(asked["annotator"]) == {"pilot"}
    assert set(asked["problem_id"]) == {problems[0].problem_id}
    assert set(asked["num_rollouts"]) == {3}
    assert asked.height == len(problems[0].prefixes)
    replays = replay_problems(pilot, problems, FRAMES["rollouts"])
    assert label_steps(pilot, FRAMES["steps"], replays).is_empty()


def test_adaptive_labels_with_the_rates_that_the_pilot_gives(tmp_path: Path) -> None:
    pilot = WITH_PILOT.annotation.pilot
    assert pilot is not None
    deployed = Deployment(WITH_PILOT, Home(tmp_path))
    for name in ("problems", "solutions", "steps", "rollouts", "pilot_rollouts"):
        deployed.lake.write(TABLES[name], FRAMES[name], *AT)
    made = [*pilot_of(WITH_PILOT, pilot), *annotators_of(WITH_PILOT)]
    makers = (problems_of, solutions_of, steps_of, rollouts_of, oracle_labels_of)
    read = [make(WITH_PILOT) for make in makers]

    def materialize(name: str, partition: str | None) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            assert dg.materialize(
                [*made, *read],
                selection=dg.AssetSelection.assets(name),
                resources=resources_of(deployed),
                instance=instance,
                partition_key=partition,
            ).success

    materialize("pilot_rates", None)
    table = deployed.lake.read(PILOT_RATES)
    rates = learned(table, DATASET)
    in_pilot = FRAMES["pilot_rollouts"]["problem_id"].unique()
    problems = read_problems(FRAMES["steps"], FRAMES["solutions"], FRAMES["problems"])
    pool = read_pool(FRAMES["pilot_rollouts"])
    chosen = [problem for problem in problems if problem.problem_id in in_pilot]
    assert rates == learn_rates(chosen, pool, AdaptiveSettings().rates)
    assert table.select("num_pilot_problems", "num_pilot_rollouts").row(0) == (
        len(chosen),
        FRAMES["pilot_rollouts"].height,
    )

    materialize("adaptive_labels", AT.key)
    labels = deployed.lake.read(labels_table("adaptive"), *AT)
    expected, by_hand = (
        label_steps(annotator, FRAMES["steps"], replay_problems(annotator, problems, rollouts))
        for annotator in (
            Adaptive(NUM_ROLLOUTS, AdaptiveSettings().confidence, rates),
            Adaptive(NUM_ROLLOUTS, AdaptiveSettings().confidence, AdaptiveSettings().rates),
        )
        for rollouts in [FRAMES["rollouts"]]
    )
    assert labels.equals(expected)
    assert not labels.equals(by_hand)


def test_only_a_profile_with_a_pilot_has_its_assets() -> None:
    def names(settings: Settings) -> set[str]:
        return {key.to_user_string() for asset in assets_of(settings) for key in asset.keys}

    pilot = {"pilot_rollouts", "pilot_costs", "pilot_rates"}
    assert pilot <= names(WITH_PILOT)
    without = with_annotation(annotators=[ADAPTIVE], train_on="adaptive")
    assert not pilot & names(without)


def test_what_a_pilot_changes() -> None:
    def changed(assets: Iterable[str], **pilot: int) -> set[str]:
        fields = {"annotators": [ADAPTIVE], "train_on": "adaptive"}
        before = with_annotation(**fields, pilot={"num_problems": 4})
        after = with_annotation(**fields, pilot={"num_problems": 4, **pilot})
        return {name for name in assets if code_version(before, name) != code_version(after, name)}

    names = ("solutions", "pilot_rollouts", "pilot_costs", "pilot_rates", "rollouts")
    draws = {"pilot_rollouts", "pilot_costs", "rollouts"}
    assert changed(names, num_problems=5) == draws
    assert changed(names, num_rollouts=9) == draws


def test_a_missing_dataset_is_named() -> None:
    with pytest.raises(ValueError, match="other is missing: materialize the asset pilot_rates"):
        learned(FRAMES["pilot_rates"], "other")


def frames(rows: pl.DataFrame) -> Frames:
    return Frames((AT,), lambda _: rows)


@pytest.mark.parametrize(("hard", "holds"), [(1, True), (0, False)])
def test_many_wrong_steps_of_right_solutions_are_warned_of(hard: int, holds: bool) -> None:
    labels = FRAMES["step_labels"].with_columns(hard=pl.lit(hard, pl.Int64))
    result = result_of(
        right_solutions_check(TINY),
        step_labels=frames(labels),
        steps=frames(FRAMES["steps"]),
        solutions=frames(FRAMES["solutions"]),
    )
    assert result.passed == holds
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["monte_carlo"].value == 1 - hard


@pytest.mark.parametrize(("share", "holds"), [(0.9, True), (0.18, False)])
def test_rollouts_that_fail_more_often_than_assumed_are_warned_of(
    share: float, holds: bool
) -> None:
    settings = with_annotation(annotators=[ADAPTIVE], train_on="adaptive")
    labels = FRAMES["step_labels"].with_columns(
        num_rollouts=pl.lit(100, pl.Int64), num_correct=pl.lit(round(100 * share), pl.Int64)
    )
    result = result_of(
        rates_check(settings),
        adaptive_labels=frames(labels),
        steps=frames(FRAMES["steps"]),
        solutions=frames(FRAMES["solutions"]),
    )
    assert result.passed == holds
    assert result.metadata[f"{DATASET}_share_correct"].value == pytest.approx(share)
    assert result.metadata[f"{DATASET}_expected"].value == pytest.approx(0.9)


@pytest.mark.parametrize(("is_correct", "holds"), [(None, True), (False, False)])
def test_learned_rates_are_compared_with_the_pilot(is_correct: bool | None, holds: bool) -> None:
    rollouts = FRAMES["pilot_rollouts"]
    if is_correct is not None:
        rollouts = rollouts.with_columns(is_correct=pl.lit(is_correct))
    rates = FRAMES["pilot_rates"].with_columns(
        success_rates=pl.lit([STEP_RATES[-1]]), weights=pl.lit([1.0])
    )
    result = rates_check(WITH_PILOT)(
        pilot_rates=rates,
        pilot_rollouts=frames(rollouts),
        steps=frames(FRAMES["steps"]),
        solutions=frames(FRAMES["solutions"]),
    )
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed == holds, result.metadata


def test_success_is_expected_by_the_steps_that_are_left() -> None:
    counts = FRAMES["steps"].select("prefix_id").unique()
    counts = counts.with_columns(num_rollouts=pl.lit(1), num_correct=pl.lit(1))
    per_step = Rates((0.5,), 0.02, 0.02, of_each_step=True)
    found = success_of_right_solutions(counts, FRAMES["steps"], FRAMES["solutions"], per_step)
    assert found.share_correct == 1.0
    assert found.expected is not None
    assert 0 < found.expected < 0.5
    none = success_of_right_solutions(
        counts.clear(), FRAMES["steps"], FRAMES["solutions"], per_step
    )
    assert none.num_rollouts == 0
    assert none.share_correct is None
