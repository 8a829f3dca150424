"""Asset bodies, their metadata and the rows that their checks must find, on frames made here."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.annotation.rollouts import label_costs
from assets.describe import metadata_of, preview, totals_of
from assets.models.fine_tuning import ExamplePlans
from assets.models.generators import first_problems, gold_of
from assets.models.reward_models import of_train_problems
from assets.verification.scoring import reward_model_aucs
from resources.storage.content import digest_of
from resources.storage.io_manager import Frames, ParquetIOManager, Partition, each
from resources.storage.lake import Lake
from shepherd import schemas, violations
from shepherd.settings import ModelSettings, TrainingSet
from tests.profiles import TINY

HERE, THERE = Partition("words", "00"), Partition("words", "01")


def frame(table: schemas.Table, *rows: dict[str, object]) -> pl.DataFrame:
    """Rows of a table; what a row leaves out is null."""
    return pl.DataFrame(
        [{name: row.get(name) for name in table.schema} for row in rows], schema=table.schema
    )


STEPS = frame(
    schemas.STEPS,
    {"step_id": "s1", "solution_id": "a", "problem_id": "p", "step_index": 1, "num_steps": 2,
     "text": "one\n", "prefix_id": "x", "is_last": False},
    {"step_id": "s2", "solution_id": "a", "problem_id": "p", "step_index": 2, "num_steps": 2,
     "text": "two", "prefix_id": "y", "is_last": True},
    {"step_id": "s3", "solution_id": "b", "problem_id": "p", "step_index": 1, "num_steps": 1,
     "text": "three", "prefix_id": "z", "is_last": True},
)  # fmt: skip
SOLUTIONS = frame(
    schemas.SOLUTIONS,
    {"solution_id": "a", "problem_id": "p", "generator": "g", "text": "one\ntwo", "num_samples": 2},
    {"solution_id": "b", "problem_id": "p", "generator": "g", "text": "three", "num_samples": 1},
)
PROBLEMS = frame(
    schemas.PROBLEMS,
    {"problem_id": "p", "split": "train", "question": "?", "gold_solution": "two"},
    {"problem_id": "q", "split": "test", "question": "!", "gold_solution": "three"},
)


def rollouts(*prefixes: str) -> pl.DataFrame:
    numbered = [(prefix, prefixes[:i].count(prefix)) for i, prefix in enumerate(prefixes)]
    names = ("prefix_id", "rollout_index")
    return frame(schemas.ROLLOUTS, *(dict(zip(names, row, strict=True)) for row in numbered))


def labels(*steps: str) -> pl.DataFrame:
    return frame(schemas.STEP_LABELS, *({"step_id": step, "annotator": "a"} for step in steps))


def scores(*rows: tuple[str, str, list[float]]) -> pl.DataFrame:
    names = ("candidate_id", "reward_model", "step_scores")
    return frame(schemas.CANDIDATE_SCORES, *(dict(zip(names, row, strict=True)) for row in rows))


CANDIDATES = frame(
    schemas.CANDIDATES,
    {"candidate_id": "c1", "problem_id": "q", "text": "Step 1: one\nStep 2: two", "is_correct": 1},
    {"candidate_id": "c2", "problem_id": "q", "text": "", "is_correct": 0},
)
NUM_SCORES = {"orm": 1, "prm": None}
ALL_SCORES = (
    ("c1", "orm", [0.9]), ("c1", "prm", [0.8, 0.7]), ("c2", "orm", [0.1]), ("c2", "prm", [0.75]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("failing", "count"),
    [
        (violations.of_unknown_problems(SOLUTIONS, PROBLEMS), 0),
        (violations.of_unknown_problems(SOLUTIONS, PROBLEMS.tail(1)), 2),
        (violations.not_drawn(PROBLEMS.head(1), SOLUTIONS, ["g"], 3), 0),
        (violations.not_drawn(PROBLEMS.head(1), SOLUTIONS, ["g"], 4), 1),
        (violations.not_drawn(PROBLEMS, SOLUTIONS, ["g"], 3), 1),
        (violations.not_drawn(PROBLEMS.head(1), SOLUTIONS, ["g", "h"], 3), 1),
        (violations.not_rebuilt(STEPS, SOLUTIONS), 0),
        (violations.not_rebuilt(STEPS.reverse(), SOLUTIONS), 0),
        (violations.not_rebuilt(STEPS.tail(2), SOLUTIONS), 1),
        (violations.not_rebuilt(STEPS, SOLUTIONS.head(1)), 1),
        (violations.not_rebuilt(STEPS.with_columns(step_index=pl.lit(1)), SOLUTIONS), 1),
        (violations.not_counted_through(rollouts("x", "x"), 2), 0),
        (violations.not_counted_through(rollouts("x", "x", "z"), 2), 0),
        (violations.not_counted_through(rollouts("x", "x"), 1), 1),
        (violations.not_counted_through(rollouts("x", "x").tail(1), 2), 1),
        (violations.not_labelled(labels("s1", "s2", "s3"), STEPS, ["a"]), 0),
        (violations.not_labelled(labels(), STEPS, ["a"]), 0),
        (violations.not_labelled(labels("s1", "s2", "s3"), STEPS, ["b"]), 2),
        (violations.not_labelled(labels("s1", "s3"), STEPS, ["a"]), 1),
        (violations.not_labelled(labels("s1", "s2", "s3", "s4"), STEPS, ["a"]), 1),
        (violations.not_scored(scores(*ALL_SCORES), CANDIDATES, NUM_SCORES), 0),
        (violations.not_scored(scores(*ALL_SCORES[1:]), CANDIDATES, NUM_SCORES), 1),
        (violations.not_scored(scores(*ALL_SCORES), CANDIDATES, {"orm": 1, "prm": 1}), 1),
        (violations.not_scored(scores(), CANDIDATES, {}), 0),
    ],
)
def test_violations(failing: pl.DataFrame, count: int) -> None:
    assert failing.height == count


def test_rft_learns_from_the_gold_solutions_that_its_start_learned_from() -> None:
    rows = [
        {"problem_id": f"{name}{index}", "dataset": name, "split": "train", "gold_solution": "s"}
        for name in ("a", "b")
        for index in range(8)
    ]
    problems = pl.DataFrame(rows).with_columns(question=pl.col("problem_id")).lazy()
    held_out = {"training_set": TrainingSet(validation_share=0.5)}
    settings = TINY.model_copy(update=held_out)
    model = ModelSettings(base="base-small", datasets=("b",))
    plans = gold_of(problems, model, settings)
    train, others = (part.collect()["problem_id"] for part in (plans.train, plans.held_out))
    assert set(train).isdisjoint(others)
    assert {*train, *others} == {f"b{index}" for index in range(8)}
    limited = gold_of(problems, model.model_copy(update={"num_problems": 2}), settings)
    assert limited.train.collect()["problem_id"].to_list() == sorted(train)[:2]


def test_the_first_problems_are_those_of_the_smallest_ids() -> None:
    plans = ExamplePlans.of(
        lambda part: pl.LazyFrame({"problem_id": ["r", "p", "q"], "part": part})
    )
    assert first_problems(plans, None) is plans
    limited = first_problems(plans, 2)
    assert limited.train.collect()["problem_id"].to_list() == ["p", "q"]
    assert limited.held_out.collect().height == 3


def test_reward_models_train_on_what_is_labelled_of_train_problems() -> None:
    labeled = frame(
        schemas.LABELED_SOLUTIONS,
        {"solution_id": "a", "problem_id": "p", "annotator": "monte_carlo"},
        {"solution_id": "c", "problem_id": "q", "annotator": "monte_carlo"},
    )
    kept = of_train_problems(labeled.lazy(), PROBLEMS.lazy()).collect()
    assert kept["solution_id"].to_list() == ["a"]


def test_aucs_rank_within_a_problem() -> None:
    assert reward_model_aucs(CANDIDATES, scores(*ALL_SCORES), "min") == {"orm": 1.0, "prm": 0.0}
    assert reward_model_aucs(CANDIDATES, scores(*ALL_SCORES), "mean") == {"orm": 1.0, "prm": 0.5}
    assert reward_model_aucs(CANDIDATES.head(1), scores(*ALL_SCORES[:2]), "min") == {}


def test_label_costs_count_steps_that_are_not_the_last() -> None:
    costs = frame(
        schemas.ROLLOUT_COSTS,
        {"num_merged": 8, "num_spared": 2, "completion_tokens": 30, "seconds": 0.5},
    )
    assert label_costs(STEPS, costs) == {
        "rollouts_merged": 8,
        "rollouts_spared": 2,
        "labels_per_second": 2.0,
        "tokens_per_label": 30.0,
    }


def test_numbers_of_a_materialization_are_plain() -> None:
    solutions = SOLUTIONS.with_columns(
        is_correct=pl.Series([True, False]),
        finish_reason=pl.Series(["stop", "length"]),
        num_tokens=pl.Series([5, 7]),
        answer=pl.Series(["2", None]),
    )
    described = metadata_of(schemas.SOLUTIONS, solutions)
    numbers = {name: value for name, value in described.items() if name != "preview"}
    assert numbers == {
        "dagster/row_count": 2,
        "share_correct": pytest.approx(2 / 3, abs=1e-4),
        "share_without_answer": 0.5,
        "share_truncated": 0.5,
        "failed_requests": 0,
        "mean_tokens": 6.0,
        "draws": 3,
    }
    assert metadata_of(schemas.SOLUTIONS, SOLUTIONS.head(0)).keys() == {
        "dagster/row_count",
        "preview",
    }


def test_numbers_of_all_partitions_are_beside_those_of_one() -> None:
    numbers = totals_of(schemas.SOLUTIONS, pl.concat([SOLUTIONS, SOLUTIONS]).lazy())
    draws = SOLUTIONS["num_samples"].sum()
    assert numbers["dagster/row_count"] == 2 * SOLUTIONS.height
    assert numbers["all_partitions_draws"] == 2 * draws
    assert totals_of(schemas.SOLUTIONS, SOLUTIONS.head(0).lazy()) == {"dagster/row_count": 0}


def test_a_preview_holds_no_markup_of_the_text() -> None:
    shown = preview(pl.DataFrame({"text": ["<img src=x>|`a`\n[b](c)", "x" * 200]}))
    rows = shown.splitlines()
    assert len(rows) == 4
    assert all(row.count("|") == 2 for row in rows)
    assert not any(mark in shown for mark in ("<", "`", "[", "](")), shown
    assert len(rows[3]) < 100


def test_frames_are_made_when_they_are_asked_for() -> None:
    made = []

    def make(partition: Partition) -> pl.DataFrame:
        made.append(partition)
        return pl.DataFrame({"shard": [partition.shard]})

    doubled = each(lambda one, two: pl.concat([one, two]), *[Frames((HERE, THERE), make)] * 2)
    assert (list(doubled), made) == ([HERE, THERE], [])
    assert doubled[THERE]["shard"].to_list() == ["01", "01"]
    assert made == [THERE, THERE]


def test_equal_rows_have_equal_content() -> None:
    rows = pl.DataFrame({"a": [0.1 + 0.2, None], "b": [[0.1], []], "c": ["x", "y"]})
    exact = rows.with_columns(a=pl.Series([0.3, None]))
    assert digest_of(rows) == digest_of(exact) == digest_of(pl.concat([rows[:1], rows[1:]]))
    others = (rows.reverse(), rows[:1], rows.with_columns(c=pl.lit("x")), rows.rename({"a": "d"}))
    assert len({digest_of(frame) for frame in (rows, *others)}) == 5


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def io_manager(lake: Lake, written: list[tuple[str, Partition]]) -> ParquetIOManager:
    return ParquetIOManager(
        lake,
        schemas.TABLES,
        lambda _, rows: {"rows": rows.height},
        totals=lambda _, rows: {"dagster/row_count": rows.select(pl.len()).collect().item()},
        origin=lambda _, partition: {"made": partition.key},
        after_write=lambda table, partition: written.append((table, partition)),
    )


GRID = dg.MultiPartitionsDefinition(
    {
        "dataset": dg.StaticPartitionsDefinition(["words"]),
        "shard": dg.StaticPartitionsDefinition(["00", "01"]),
    }
)


@dg.asset(partitions_def=GRID, backfill_policy=dg.BackfillPolicy.single_run())
def steps(context: dg.AssetExecutionContext) -> Frames:
    keys = tuple(Partition.of(key) for key in sorted(context.partition_keys))
    ids = {HERE: ["s1", "s2"], THERE: ["s3"]}
    return Frames(keys, lambda at: STEPS.filter(pl.col("step_id").is_in(ids[at])))


@dg.asset(
    name="rejected_labels", ins={"steps": dg.AssetIn(partition_mapping=dg.AllPartitionMapping())}
)
def fan_in(steps: pl.DataFrame) -> pl.DataFrame:
    rows = [{"dataset": "words", "file": "f", "line": n, "reason": "r", "content": step}
            for n, step in enumerate(steps["step_id"])]  # fmt: skip
    return frame(schemas.REJECTED_LABELS, *rows)


def test_a_range_is_written_shard_by_shard_and_read_as_one(lake: Lake) -> None:
    written: list[tuple[str, Partition]] = []
    resources = {"io_manager": io_manager(lake, written)}
    with dg.instance_for_test() as instance:
        ranged = dg.materialize(
            [steps],
            instance=instance,
            resources=resources,
            tags={
                "dagster/asset_partition_range_start": HERE.key,
                "dagster/asset_partition_range_end": THERE.key,
            },
        )
        dg.materialize([steps, fan_in], selection=[fan_in], instance=instance, resources=resources)
    assert written == [("steps", HERE), ("steps", THERE)]
    assert lake.read(schemas.STEPS, *THERE)["step_id"].to_list() == ["s3"]
    assert lake.metadata(schemas.STEPS, *THERE)["made"] == THERE.key
    assert lake.read(schemas.REJECTED_LABELS)["content"].to_list() == ["s1", "s2", "s3"]
    metadata = {
        str(event.partition): event.materialization.metadata
        for event in ranged.get_asset_materialization_events()
    }
    assert {key: each["rows"].value for key, each in metadata.items()} == {
        HERE.key: 2,
        THERE.key: 1,
    }
    for key, num_rows in ((HERE.key, 2), (THERE.key, 1)):
        assert metadata[key]["dagster/partition_row_count"].value == num_rows
        assert metadata[key]["dagster/row_count"].value == 3
    assert {key: each["content"].value for key, each in metadata.items()} == {
        at.key: digest_of(lake.read(schemas.STEPS, *at)) for at in (HERE, THERE)
    }


def test_a_fan_in_misses_no_partition(lake: Lake) -> None:
    resources = {"io_manager": io_manager(lake, [])}
    with dg.instance_for_test() as instance:
        dg.materialize([steps], instance=instance, resources=resources, partition_key=HERE.key)
        failed = dg.materialize(
            [steps, fan_in],
            selection=[fan_in],
            instance=instance,
            resources=resources,
            raise_on_error=False,
        )
    [failure] = failed.filter_events(lambda event: event.is_step_failure)
    error = failure.step_failure_data.error
    assert error is not None
    assert error.cause is not None
    assert "steps, dataset words, shard 01" in error.cause.message
    assert "materialize the asset steps" in error.cause.message
    assert not lake.path("rejected_labels").exists()
