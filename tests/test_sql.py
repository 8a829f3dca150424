"""The SQL files: every test fails for a planted defect, and the marts agree with the lake."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import duckdb
import polars as pl
import pytest

from resources.report.problems import report_queries
from resources.storage.sql_files import (
    column_meanings,
    declared_constraints,
    sql_models,
    sql_tests,
)
from resources.storage.warehouse import build_warehouse, run_tests
from shepherd.labels import label_accuracy
from shepherd.schemas import TABLES
from shepherd.verification import Aggregation, aggregate
from tests.small_lake import NUM_CANDIDATES, NUM_ROLLOUTS, NUM_SAMPLES, small_lake, write_lake

FRAMES = small_lake()
FIRST_WRONG = (~pl.col("is_correct")).cum_sum().eq(1) & ~pl.col("is_correct")
FRAMES["candidates"] = FRAMES["candidates"].with_columns(
    grade_reason=pl.when(FIRST_WRONG).then(pl.lit("unparsable")).otherwise("grade_reason")
)

PLANTED = {
    "annotation_cost__every_rollout_is_paid_for": "delete from lake.rollouts where rowid = 0",
    "annotation_cost__merged_is_what_identical_prefixes_saved": (
        "update annotation_cost set num_merged = num_merged + 1"
    ),
    "annotation_cost__shares_are_shares": "update annotation_cost set share_spared = 1.5",
    "annotator_costs__consensus_is_paid_like_two": (
        "insert into annotator_costs "
        "select * replace ('consensus' as annotator, 1 as num_rollouts) from annotator_costs"
    ),
    "annotator_costs__rollouts_fit_the_budget": "update annotator_costs set num_stopped = 1",
    "annotator_costs__shares_are_shares": "update annotator_costs set share_merged = 1.5",
    "calibration_bins__soft_lies_in_its_tenth": "update calibration_bins set tenth = 3",
    "completion_endings__every_completion_is_counted": "delete from completion_endings",
    "completion_endings__parts_are_not_above_the_whole": (
        "update completion_endings set num_looping = num_truncated + 1"
    ),
    "completion_endings__stage_is_known": "update completion_endings set stage = 'labels'",
    "dataset_counts__every_dataset_is_counted": "delete from dataset_counts",
    "dataset_counts__paper_counts_are_known": (
        "update dataset_counts set num_paper_solutions = 440000"
    ),
    "dataset_counts__parts_are_not_above_the_whole": (
        "update dataset_counts set num_train_problems = num_problems + 1"
    ),
    "disputed_steps__annotators_differ": "update disputed_steps set good_by = wrong_by",
    "disputed_steps__are_as_many_as_the_pairs_say": "delete from disputed_steps",
    "disputed_steps__step_exists": "delete from lake.steps",
    "doubtful_grades__doubt_is_known": "update doubtful_grades set doubt = 'luck'",
    "doubtful_grades__no_answer_has_both_verdicts": (
        "update doubtful_grades set doubt = 'both verdicts'"
    ),
    "doubtful_grades__problem_exists": "delete from lake.problems",
    "estimates_by_budget__each_n_is_over_the_same_prefixes": (
        "update estimates_by_budget set num_prefixes = 1 where num_rollouts = 2"
    ),
    "estimates_by_budget__intervals_hold_their_estimate": (
        "update estimates_by_budget set mean_soft_high = mean_soft - 0.1"
    ),
    "estimates_by_budget__more_rollouts_call_no_fewer_prefixes_good": (
        "update estimates_by_budget set num_good = 0 where num_rollouts = 4"
    ),
    "grading_reasons__few_answers_time_out": "update grading_reasons set grade_reason = 'timeout'",
    "grading_reasons__reason_is_known": "update grading_reasons set grade_reason = 'luck'",
    "grading_reasons__shares_add_up": "update grading_reasons set share = share + 0.1",
    "int_draws__nothing_is_drawn_less_than_once": "update int_draws set num_samples = 0",
    "int_labelled_steps__no_label_is_lost": "delete from int_labelled_steps where step_index = 1",
    "int_prefix_outcomes__no_rollout_is_lost": "delete from int_prefix_outcomes where rowid = 0",
    "int_prefix_outcomes__right_draws_are_counted": (
        "update int_prefix_outcomes set num_correct = num_correct + 1"
    ),
    "judge_votes__parts_are_not_above_the_whole": "update judge_votes set num_votes = 1",
    "label_agreement__counts_add_up": "update label_agreement set num_steps = num_steps + 1",
    "label_agreement__shares_are_shares": "update label_agreement set num_same_first_error = 1000",
    "label_quality__every_step_is_counted_once": "delete from label_quality where step_index = 1",
    "label_quality__parts_are_not_above_the_whole": (
        "update label_quality set num_found_wrong = num_truly_wrong + 1"
    ),
    "label_quality__shares_are_shares": "update label_quality set share_good = 1.5",
    "monotonicity_violations__none_is_missing": "delete from monotonicity_violations",
    "monotonicity_violations__recovered_by_is_known": (
        "update monotonicity_violations set recovered_by = 'luck'"
    ),
    "monotonicity_violations__recovery_comes_after_failure": (
        "update monotonicity_violations set recovered_step = failed_step"
    ),
    "monotonicity_violations__solution_exists": "delete from lake.solutions",
    "pilot_calibration__shares_are_shares": "update pilot_calibration set tenth = 3",
    "policy_results__accuracy_is_that_of_greedy_solutions": (
        "update lake.greedy_solutions set is_correct = not is_correct"
    ),
    "policy_results__gain_is_over_the_start": (
        "update policy_results set gain = gain + 0.1 where policy = 'policy'"
    ),
    "policy_results__no_policy_is_lost": "delete from policy_results where policy = 'policy'",
    "rollout_budgets__more_rollouts_call_no_fewer_steps_good": (
        "update rollout_budgets set num_false_wrong = 1000 where num_rollouts = 4"
    ),
    "sampling_costs__every_draw_is_paid_for": "delete from sampling_costs",
    "sampling_costs__stage_is_known": "update sampling_costs set stage = 'labels'",
    "tree_search_states__a_search_sets_out_from_hope": (
        "update tree_search_states set num_visits = 1, num_correct = 0"
    ),
    "tree_search_states__no_state_is_lost": "delete from tree_search_states",
    "solved_problems__outcome_follows_from_the_counts": (
        "update solved_problems set solved_by = 'all'"
    ),
    "solved_problems__problem_exists": "delete from lake.problems",
    "solved_problems__solved_by_is_known": "update solved_problems set solved_by = 'few'",
    "stg_asked_rollouts__every_rollout_was_asked_for": (
        "delete from lake.asked_rollouts where rowid = 0"
    ),
    "stg_asked_rollouts__were_drawn": "update lake.asked_rollouts set num_rollouts = 99",
    "stg_candidate_scores__candidate_exists": "delete from lake.candidates where draw = 0",
    "stg_candidate_scores__scores_are_probabilities": (
        "update lake.candidate_scores set step_scores = [0.5, 'nan'::double] where rowid = 0"
    ),
    "label_quality_by_length__parts_are_not_above_the_whole": (
        "update label_quality_by_length set num_agreeing = num_compared + 1"
    ),
    "label_quality_by_level__parts_are_not_above_the_whole": (
        "update label_quality_by_level set num_compared = num_steps + 1"
    ),
    "score_agreement__parts_have_the_same_steps": (
        "delete from score_agreement where part = 'length' and part_value = '3'"
    ),
    "score_calibration__shares_are_shares": "update score_calibration set share_good = 1.5",
    "stg_held_out_scores__scores_are_probabilities": (
        "update lake.held_out_scores set step_scores = [0.5, 1.5] where rowid = 0"
    ),
    "stg_held_out_scores__solution_exists": "delete from lake.labeled_solutions",
    "stg_candidates__are_of_test_problems": "update lake.problems set split = 'train'",
    "stg_candidates__draw_is_unique": "update lake.candidates set draw = 0",
    "stg_candidates__draws_are_equally_many": "delete from lake.candidates where rowid = 0",
    "stg_candidates__finish_reason_is_known": "update lake.candidates set finish_reason = ''",
    "stg_candidates__verdict_follows_its_reason": (
        "update lake.candidates set is_correct = not is_correct"
    ),
    "stg_costs__cached_is_part_of_prompts": (
        "update lake.rollout_costs set cached_tokens = prompt_tokens + 1"
    ),
    "stg_costs__nothing_is_negative": "update lake.candidate_costs set seconds = -0.1",
    "stg_costs__stage_is_known": "update lake.solution_costs set stage = 'labels'",
    "stg_critiques__step_exists": "update lake.critiques set first_error = 99",
    "stg_evaluations__method_is_known": "update lake.evaluations set method = 'BoN'",
    "stg_greedy_solutions__are_of_test_problems": "update lake.problems set split = 'train'",
    "stg_greedy_solutions__repeats_follow_a_first": (
        "update lake.greedy_solutions set num_repeated_steps = num_steps"
    ),
    "stg_greedy_solutions__verdict_follows_its_reason": (
        "update lake.greedy_solutions set is_correct = not is_correct"
    ),
    "stg_pilot_costs__every_rollout_is_paid_for": "delete from lake.pilot_costs",
    "stg_pilot_rates__shares_are_shares": "update lake.pilot_rates set weights = [0.5, 0.9]",
    "stg_pilot_rollouts__are_among_the_rollouts": (
        "update lake.pilot_rollouts set text = 'another' where rowid = 0"
    ),
    "stg_policy_evaluations__method_is_known": "update lake.policy_evaluations set method = 'DPO'",
    "stg_labeled_solutions__are_of_train_problems": "update lake.problems set split = 'test'",
    "stg_labeled_solutions__labels_are_the_step_labels": (
        "update lake.labeled_solutions set hard = list_transform(hard, lambda label: 1 - label)"
    ),
    "stg_labeled_solutions__lists_are_aligned": (
        "update lake.labeled_solutions set soft = soft[2:] where rowid = 0"
    ),
    "stg_labeled_solutions__problem_exists": "update lake.labeled_solutions set dataset = 'other'",
    "stg_labeled_solutions__solution_exists": "delete from lake.solutions where rowid = 0",
    "stg_problems__split_is_known": "update lake.problems set split = 'dev' where rowid = 0",
    "stg_problems__splits_share_no_question": (
        "insert into lake.problems select * replace ('other' as split) from lake.problems"
    ),
    "stg_problems__texts_are_not_blank": "update lake.problems set gold_answer = ' '",
    "stg_rejected__reason_is_given": "update lake.rejected_problems set reason = ''",
    "stg_rollouts__correct_has_answer": "update lake.rollouts set answer = null",
    "stg_rollouts__draws_are_numbered_from_zero": (
        "delete from lake.rollouts where rollout_index = 1"
    ),
    "stg_rollouts__finish_reason_is_known": "update lake.rollouts set finish_reason = 'eos'",
    "stg_rollouts__prefix_exists": "delete from lake.steps where step_index = 1",
    "stg_rollouts__verdict_follows_its_reason": "update lake.rollouts set grade_reason = 'missing'",
    "stg_search_trees__counts_are_possible": "update lake.search_trees set num_correct = 99",
    "stg_solutions__correct_has_answer": "update lake.solutions set answer = null",
    "stg_solutions__finish_reason_is_known": "update lake.solutions set finish_reason = 'eos'",
    "stg_solutions__grade_reason_is_known": "update lake.solutions set grade_reason = 'luck'",
    "stg_solutions__num_samples_is_positive": "update lake.solutions set num_samples = 0",
    "stg_solutions__problem_exists": "delete from lake.problems where split = 'train'",
    "stg_solutions__verdict_follows_its_reason": (
        "update lake.solutions set is_correct = true where not is_correct"
    ),
    "stg_step_labels__counts_are_possible": "update lake.step_labels set num_correct = 9",
    "stg_step_labels__hard_is_soft_above_zero": "update lake.step_labels set soft = 0.0",
    "stg_step_labels__hard_is_zero_or_one": "update lake.oracle_labels set hard = 2",
    "stg_step_labels__interval_holds_soft": "update lake.step_labels set low = high",
    "stg_step_labels__last_step_is_the_outcome": (
        "update int_labelled_steps set hard = 1 - hard where is_last"
    ),
    "stg_step_labels__oracle_sees_no_recovery": (
        "update int_labelled_steps set hard = 1 where is_last and annotator = 'oracle'"
    ),
    "stg_step_labels__rollouts_give_the_counts": (
        "update int_prefix_outcomes set correct_draws = []"
    ),
    "stg_step_labels__soft_is_a_share": "update lake.step_labels set soft = 'nan'",
    "stg_step_labels__soft_is_the_share_of_rollouts": (
        "update lake.step_labels set num_rollouts = num_rollouts + 1"
    ),
    "stg_step_labels__solutions_are_labelled_whole": (
        "delete from int_labelled_steps where step_index = 2"
    ),
    "stg_step_labels__step_exists": "delete from lake.steps where rowid = 0",
    "stg_steps__are_numbered_from_one": "update lake.steps set step_index = step_index + 1",
    "stg_steps__join_to_their_solution": "update lake.steps set text = text || ' '",
    "stg_steps__last_is_last": "update lake.steps set is_last = true",
    "stg_steps__solution_exists": "delete from lake.solutions where rowid = 0",
    "suspicious_solutions__are_right_with_a_wrong_step": ("update int_labelled_steps set hard = 1"),
    "suspicious_solutions__none_is_missing": "delete from suspicious_solutions",
    "suspicious_solutions__solution_exists": "delete from lake.solutions",
    "training_labels__every_label_is_counted_once": (
        "delete from training_labels where step_index = 1"
    ),
    "training_labels__shares_are_shares": "update training_labels set share_good = 1.5",
    "aggregation_results__nothing_beats_pass_at_n": (
        "update aggregation_results set accuracy = 2 where aggregation = 'min'"
    ),
    "unscored_steps__parts_are_not_above_the_whole": (
        "update unscored_steps set num_unscored_candidates = 1"
    ),
    "verification_results__accuracy_lies_in_its_interval": (
        "update verification_results set accuracy_high = accuracy - 0.1"
    ),
    "verification_results__nothing_beats_pass_at_n": (
        "update verification_results set accuracy = 2 where method = 'PRM'"
    ),
    "verification_results__one_candidate_is_pass_at_1": (
        "update verification_results set accuracy = 2 where method = 'SC'"
    ),
    "verification_results__problems_are_those_drawn_for": (
        "update verification_results set num_problems = num_problems - 1"
    ),
}
"""A defect for each test that is written by hand."""

MODELS = sql_models()
TESTS = {test.name: test for test in sql_tests(MODELS)}
GENERATED = {name for name, test in TESTS.items() if test.path.suffix == ".yaml"}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    root = tmp_path_factory.mktemp("home")
    build_warehouse(write_lake(FRAMES, root / "lake"), root / "warehouse.duckdb")
    with duckdb.connect(root / "warehouse.duckdb") as connection:
        yield connection


@pytest.fixture
def connection(warehouse: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction on the warehouse that is rolled back."""
    warehouse.execute("begin")
    yield warehouse
    warehouse.execute("rollback")


@pytest.mark.parametrize("name", sorted(set(TESTS) - GENERATED))
def test_every_sql_test_holds_and_catches_a_planted_defect(
    connection: duckdb.DuckDBPyConnection, name: str
) -> None:
    sql = TESTS[name].sql
    assert connection.execute(sql).fetchall() == []
    connection.execute(PLANTED[name])
    assert connection.execute(sql).fetchall() != []


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_every_generated_test_holds_and_catches_a_planted_defect(
    connection: duckdb.DuckDBPyConnection, name: str
) -> None:
    """A repeated row breaks a key; a null breaks each declared column."""
    model, rule = name.split("__")
    constraints = declared_constraints()[model]
    columns = [*constraints.key, *constraints.required]
    defects = {
        "key_is_unique": [f"insert into {model} from {model} limit 1"],
        "required_columns_are_filled": [
            f"update {model} set {column} = null" for column in columns
        ],
    }
    sql = TESTS[name].sql
    assert connection.execute(sql).fetchall() == []
    for defect in defects[rule]:
        # A temporary table is found before the relation of the same name, which may be a view.
        connection.execute(f"create or replace temp table {model} as from main.{model}")
        connection.execute(defect.replace(f" {model} ", f" temp.{model} "))
        assert connection.execute(sql).fetchall() != [], defect


def test_every_model_but_the_draws_declares_a_key() -> None:
    """``int_draws`` lists the draws of both stages, of which equal rows are possible."""
    assert set(declared_constraints()) == {model.name for model in MODELS} - {"int_draws"}


def test_every_planted_defect_is_of_a_test() -> None:
    assert set(PLANTED) <= set(TESTS)


def test_every_lake_table_is_staged_and_every_mart_is_tested() -> None:
    staged = {table for model in MODELS if model.layer == "staging" for table in model.upstream}
    assert staged == {f"lake.{table}" for table in TABLES}
    tested = {name.split("__")[0] for name in TESTS}
    assert {model.name for model in MODELS} <= tested


def test_only_staging_reads_the_lake() -> None:
    for model in MODELS:
        from_lake = [name for name in model.upstream if name.startswith("lake.")]
        assert bool(from_lake) == (model.layer == "staging"), model.name


def test_no_file_is_a_template_or_carries_a_path() -> None:
    for model in [*MODELS, *TESTS.values(), *report_queries()]:
        assert not any(mark in model.sql for mark in ("{", "}", "read_parquet", ".parquet", "/'"))


def test_files_run_as_they_stand(connection: duckdb.DuckDBPyConnection) -> None:
    for model in [*MODELS, *TESTS.values()]:
        assert model.name in GENERATED or model.sql == model.path.read_text()
        connection.execute(model.sql)
    for query in report_queries():
        connection.execute(f"create temp table {query.name} as {query.sql}")


def mart(connection: duckdb.DuckDBPyConnection, name: str) -> pl.DataFrame:
    return connection.sql(f"from {name}").pl()


def test_label_quality_adds_up_to_the_label_accuracy(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    accuracy = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    quality = mart(connection, "label_quality").filter(annotator="monte_carlo")
    sums = quality.select(pl.selectors.starts_with("num_").sum()).row(0, named=True)
    assert sums["num_steps"] == sums["num_compared"] == accuracy.num_steps
    assert sums["num_agreeing"] / sums["num_compared"] == pytest.approx(accuracy.agreement)
    precision = sums["num_found_wrong"] / sums["num_labelled_wrong"]
    assert precision == pytest.approx(accuracy.wrong_precision)
    assert sums["num_found_wrong"] / sums["num_truly_wrong"] == pytest.approx(accuracy.wrong_recall)
    assert quality["reference"].unique().to_list() == ["oracle"]


def test_all_rollouts_give_the_labels_again(connection: duckdb.DuckDBPyConnection) -> None:
    budgets = mart(connection, "rollout_budgets")
    accuracy = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    assert budgets["num_rollouts"].to_list() == list(range(1, NUM_ROLLOUTS + 1))
    assert budgets["hard_agreement"][-1] == pytest.approx(accuracy.agreement)


def test_the_estimate_at_n_is_that_of_the_first_n_rollouts(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    counts = mart(connection, "estimates_by_budget").sort("num_rollouts")
    for budget in range(1, NUM_ROLLOUTS + 1):
        first = FRAMES["rollouts"].filter(pl.col("rollout_index") < budget)
        prefixes = first.group_by("prefix_id").agg(c=pl.col("is_correct").sum(), n=pl.len())
        means = prefixes.select(
            mean_soft=(pl.col("c") / pl.col("n")).mean(), share_good=(pl.col("c") > 0).mean()
        ).row(0, named=True)
        row = counts.row(budget - 1, named=True)
        assert {name: row[name] for name in means} == pytest.approx(means)
        assert row["num_prefixes"] == prefixes.height
    assert counts["num_changed_later"][-1] == 0


def test_the_intervals_of_an_estimate_are_wilsons(connection: duckdb.DuckDBPyConnection) -> None:
    counts = mart(connection, "estimates_by_budget").sort("num_rollouts")
    one, all_drawn = counts.row(0, named=True), counts.row(-1, named=True)
    # Of one rollout, 0 of 1 has the interval 0 to 0.7935 and 1 of 1 that from 0.2065 to 1.
    assert one["mean_soft_low"] == pytest.approx(0.2065493 * one["mean_soft"])
    assert one["mean_soft_high"] == pytest.approx(0.7934507 + 0.2065493 * one["mean_soft"])
    labels = FRAMES["steps"].join(FRAMES["step_labels"].drop_nulls("low"), on="step_id")
    prefixes = labels.unique("prefix_id")
    assert all_drawn["mean_soft_low"] == pytest.approx(prefixes["low"].mean())
    assert all_drawn["mean_soft_high"] == pytest.approx(prefixes["high"].mean())


def test_a_violation_is_a_good_step_after_a_wrong_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    joined = FRAMES["steps"].join(FRAMES["step_labels"], on="step_id").sort("step_index")
    labels = joined.group_by("solution_id").agg("hard")
    expected = {
        solution_id for solution_id, hard in labels.iter_rows() if hard != sorted(hard)[::-1]
    }
    violations = mart(connection, "monotonicity_violations")
    assert set(violations["solution_id"]) == expected
    assert violations["is_truly_wrong"].null_count() == 0


def test_disputed_steps_are_those_where_labels_and_truth_differ(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    both = FRAMES["step_labels"].join(FRAMES["oracle_labels"], on="step_id", suffix="_true")
    early = FRAMES["steps"].filter(~pl.col("is_last"))["step_id"].implode()
    differ = both.filter(pl.col("hard") != pl.col("hard_true"), pl.col("step_id").is_in(early))
    assert set(mart(connection, "disputed_steps")["step_id"]) == set(differ["step_id"])


def test_completions_that_repeat_others_are_counted(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    endings = mart(connection, "completion_endings")
    repeated = dict(endings.select("stage", "num_repeated").iter_rows())
    rollouts, candidates = FRAMES["rollouts"], FRAMES["candidates"]
    assert repeated == {
        "solutions": (FRAMES["solutions"]["num_samples"] - 1).sum(),
        "rollouts": rollouts.height - rollouts.n_unique(["prefix_id", "text"]),
        "candidates": candidates.height - candidates.n_unique(["problem_id", "text"]),
    }


def test_a_cut_completion_that_says_its_lines_again_loops(tmp_path: Path) -> None:
    texts = ["a\nb\na\nb", "a\nb\nc", "a"]
    frames = {**FRAMES, "rollouts": FRAMES["rollouts"].head(3)}
    frames["rollouts"] = frames["rollouts"].with_columns(
        text=pl.Series(texts), finish_reason=pl.lit("length")
    )
    build_warehouse(write_lake(frames, tmp_path / "lake"), tmp_path / "w.duckdb")
    with duckdb.connect(tmp_path / "w.duckdb", read_only=True) as connection:
        [row] = mart(connection, "completion_endings").filter(stage="rollouts").to_dicts()
    assert (row["num_truncated"], row["num_looping"]) == (3, 1)


def test_an_annotator_that_stops_early_spares_rollouts(tmp_path: Path) -> None:
    """Labels of a stop at the first success, beside those from all rollouts."""
    first = (
        FRAMES["rollouts"]
        .group_by("prefix_id")
        .agg(
            needed=pl.col("rollout_index").filter("is_correct").min().fill_null(NUM_ROLLOUTS - 1)
            + 1
        )
    )
    steps = FRAMES["steps"].filter(~pl.col("is_last")).join(first, on="prefix_id")
    stopped = (
        FRAMES["step_labels"]
        .join(steps.select("step_id", "needed"), on="step_id", how="left", maintain_order="left")
        .with_columns(
            annotator=pl.lit("first_success"),
            num_rollouts=pl.col("needed").fill_null(0),
            num_correct=pl.min_horizontal("num_correct", 1),
            soft=pl.lit(None, pl.Float64),
        )
        .drop("needed")
    )
    labels = pl.concat([FRAMES["step_labels"], stopped])
    needed = FRAMES["asked_rollouts"].join(first, on="prefix_id").select(
        pl.exclude("needed", "annotator", "num_rollouts"),
        annotator=pl.lit("first_success"),
        num_rollouts="needed",
    )  # fmt: skip
    asked = pl.concat([FRAMES["asked_rollouts"], needed.select(FRAMES["asked_rollouts"].columns)])
    frames = {**FRAMES, "step_labels": labels, "asked_rollouts": asked}
    lake = write_lake(frames, tmp_path / "lake")
    build_warehouse(lake, tmp_path / "w.duckdb")
    assert {result.num_failures for result in run_tests(tmp_path / "w.duckdb")} == {0}
    with duckdb.connect(tmp_path / "w.duckdb", read_only=True) as connection:
        costs = {row["annotator"]: row for row in mart(connection, "annotator_costs").to_dicts()}
        agreement = mart(connection, "label_agreement").filter(annotator="first_success")
    assert costs["first_success"]["num_rollouts"] == first["needed"].sum()
    assert costs["monte_carlo"]["num_stopped"] == 0
    spared = first.height * NUM_ROLLOUTS - first["needed"].sum()
    assert costs["first_success"]["num_stopped"] == spared
    assert agreement.filter(other_annotator="monte_carlo")["agreement"].to_list() == [1.0]


def test_kappa_is_the_agreement_beyond_chance(connection: duckdb.DuckDBPyConnection) -> None:
    pairs = mart(connection, "label_agreement").to_dicts()
    assert pairs
    for pair in pairs:
        both, one, other, neither = (
            pair[f"num_{name}"]
            for name in ("both_good", "only_first_good", "only_second_good", "both_wrong")
        )
        by_chance = (both + one) * (one + neither) + (both + other) * (other + neither)
        kappa = 2 * (both * neither - one * other) / by_chance if by_chance else None
        assert pair["cohen_kappa"] == pytest.approx(kappa)


def test_annotation_cost_divides_by_the_labelled_steps(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    [cost] = mart(connection, "annotation_cost").to_dicts()
    rollouts = FRAMES["rollouts"].height
    steps = FRAMES["steps"].filter(~pl.col("is_last")).height
    assert (cost["num_rollouts"], cost["num_labels"]) == (rollouts, steps)
    assert cost["rollouts_per_label"] == pytest.approx(rollouts / steps)
    assert cost["num_merged"] > 0


def test_dataset_counts_count_the_lake(connection: duckdb.DuckDBPyConnection) -> None:
    [counts] = mart(connection, "dataset_counts").to_dicts()
    assert counts["num_draws"] == FRAMES["problems"].filter(split="train").height * NUM_SAMPLES
    for table in ("problems", "solutions", "steps", "rollouts", "candidates"):
        assert counts[f"num_{table}"] == FRAMES[table].height
    rejected = [frame.height for name, frame in FRAMES.items() if name.startswith("rejected_")]
    assert counts["num_rejected"] == sum(rejected) > 0
    assert counts["num_paper_solutions"] is None


@pytest.mark.parametrize(
    ("dataset", "paper"),
    [("gsm8k", 170_000), ("MATH", 270_000), ("word_problems", None), ("aftermath", None)],
)
def test_counts_stand_beside_the_papers(tmp_path: Path, dataset: str, paper: int | None) -> None:
    problems = FRAMES["problems"].with_columns(dataset=pl.lit(dataset))
    write_lake({"problems": problems}, tmp_path / "lake")
    build_warehouse(tmp_path / "lake", tmp_path / "warehouse.duckdb")
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        [counts] = mart(connection, "dataset_counts").to_dicts()
    assert (counts["num_paper_solutions"], counts["num_solutions"]) == (paper, 0)


def test_aggregations_choose_as_verification_does(connection: duckdb.DuckDBPyConnection) -> None:
    scores = connection.sql(
        "from stg_candidate_scores where reward_model = 'process_reward_model'"
    ).pl()
    drawn = connection.sql("from stg_candidates").pl()
    results = mart(connection, "aggregation_results")
    assert sorted(results["aggregation"].unique()) == sorted(get_args(Aggregation))
    for how in get_args(Aggregation):
        worth = scores.with_columns(score=aggregate(scores["step_scores"], how))
        best = (
            drawn.join(worth.select("candidate_id", "score"), on="candidate_id")
            .sort("draw", "candidate_id")
            .sort("score", descending=True, nulls_last=True, maintain_order=True)
            .unique(["generator", "problem_id"], keep="first", maintain_order=True)
        )
        expected = dict(best.group_by("generator").agg(pl.col("is_correct").mean()).iter_rows())
        accuracies = results.filter(aggregation=how).select("generator", "accuracy")
        assert dict(accuracies.iter_rows()) == pytest.approx(expected)


def test_unscored_steps_are_counted_and_rank_a_candidate_last(tmp_path: Path) -> None:
    """The candidates that a PRM would choose are not read to the end."""
    scores = FRAMES["candidate_scores"]
    cut = pl.col("step_scores").list.head(1).list.concat(pl.lit([None], pl.List(pl.Float64)))
    is_process = pl.col("reward_model") == "process_reward_model"
    is_cut = (
        is_process & (pl.col("step_scores").list.min() > 0.7) & (pl.int_range(pl.len()) % 3 == 0)
    )
    unread = scores.with_columns(step_scores=pl.when(is_cut).then(cut).otherwise("step_scores"))
    num_cut = scores.filter(is_cut).height
    assert num_cut
    build_warehouse(
        write_lake({**FRAMES, "candidate_scores": unread}, tmp_path / "lake"), tmp_path / "w.duckdb"
    )
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        counts = mart(connection, "unscored_steps")
        test_aggregations_choose_as_verification_does(connection)
        name = "stg_candidate_scores__scores_are_probabilities"
        assert connection.execute(TESTS[name].sql).fetchall() == []
        connection.execute("update lake.candidate_scores set step_scores = [null, 0.5]")
        assert connection.execute(TESTS[name].sql).fetchall() != []
    sums = counts.group_by("reward_model").agg(
        pl.col("num_unscored_candidates", "num_unscored_steps").sum()
    )
    assert set(sums.rows()) == {
        ("process_reward_model", num_cut, num_cut), ("outcome_reward_model", 0, 0),
    }  # fmt: skip


def test_suspicious_solutions_are_right_with_a_step_labelled_wrong(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    joined = FRAMES["steps"].join(FRAMES["step_labels"], on="step_id")
    wrong = joined.filter(pl.col("hard") == 0)["solution_id"].unique()
    right = FRAMES["solutions"].filter("is_correct")["solution_id"]
    suspicious = mart(connection, "suspicious_solutions").filter(annotator="monte_carlo")
    assert set(suspicious["solution_id"]) == set(wrong) & set(right)
    assert suspicious.height > 0
    assert suspicious["is_truly_wrong"].null_count() == 0


def test_solved_problems_and_verification_cover_all_problems(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    solved = mart(connection, "solved_problems")
    assert set(solved["problem_id"]) == set(FRAMES["problems"]["problem_id"])
    drawn_for_test = solved.filter(stage="candidates")["num_draws"]
    assert drawn_for_test.unique().to_list() == [NUM_CANDIDATES]
    results = mart(connection, "verification_results")
    assert results.height == FRAMES["evaluations"].height
    voted = results.filter(method="SC")
    assert voted["gain_over_self_consistency"].to_list() == [0.0] * voted.height


def test_labels_cost_the_tokens_of_the_rollouts_that_they_count(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rollouts, costs = FRAMES["rollouts"], FRAMES["rollout_costs"]
    labels = FRAMES["steps"].filter(~pl.col("is_last"))
    per_token = costs["seconds"].sum() / costs["completion_tokens"].sum()
    rows = mart(connection, "quality_by_cost").filter("is_budget")
    assert rows["num_rollouts"].to_list() == [1, 2, 3, 4]
    for row in rows.iter_rows(named=True):
        drawn = rollouts.filter(pl.col("rollout_index") < row["num_rollouts"])
        tokens = drawn["num_tokens"].sum() / labels.height
        assert row["tokens_per_label"] == pytest.approx(tokens)
        assert row["seconds_per_label"] == pytest.approx(tokens * per_token)
    (ran,) = (
        mart(connection, "quality_by_cost").filter(labeller="monte_carlo").iter_rows(named=True)
    )
    last = rows.row(-1, named=True)
    assert (ran["tokens_per_label"], ran["num_agreeing"]) == (
        pytest.approx(last["tokens_per_label"]),
        last["num_agreeing"],
    )


def test_soft_labels_are_counted_by_tenth(connection: duckdb.DuckDBPyConnection) -> None:
    counts = mart(connection, "soft_label_counts")
    labels = FRAMES["step_labels"].filter(annotator="monte_carlo")
    soft = labels.join(FRAMES["steps"].filter(~pl.col("is_last")), on="step_id")["soft"]
    of_monte_carlo = counts.filter(annotator="monte_carlo")
    assert of_monte_carlo.filter(tenth=9)["num_steps"].to_list() == [(soft >= 0.9).sum()]
    assert of_monte_carlo["num_steps"].sum() == soft.len()
    assert set(counts["annotator"]).isdisjoint({"human", "oracle"})


def test_a_human_annotator_is_the_reference_before_the_oracle(tmp_path: Path) -> None:
    human = FRAMES["oracle_labels"].with_columns(annotator=pl.lit("human"))
    labels = pl.concat([FRAMES["step_labels"], human])
    build_warehouse(
        write_lake({**FRAMES, "step_labels": labels}, tmp_path / "lake"), tmp_path / "w.duckdb"
    )
    with duckdb.connect(tmp_path / "w.duckdb", read_only=True) as connection:
        quality = mart(connection, "label_quality")
        pairs = mart(connection, "label_agreement").select("annotator", "other_annotator")
    assert quality.filter(annotator="oracle")["agreement"].to_list() == [1.0] * 4
    references = dict(quality.select("annotator", "reference").unique().iter_rows())
    assert references == {"human": None, "monte_carlo": "human", "oracle": "human"}
    assert pairs.rows() == [
        ("human", "monte_carlo"),
        ("human", "oracle"),
        ("monte_carlo", "oracle"),
    ]


def test_every_column_has_a_meaning_and_every_meaning_a_column(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    names = connection.execute(
        "select column_name, comment from duckdb_columns where not internal"
    ).fetchall()
    assert [name for name, comment in names if not comment] == []
    assert column_meanings().keys() <= {name for name, _ in names}


DOCS = Path(__file__).parent.parent / "docs" / "sql.md"


def as_markdown(frame: pl.DataFrame) -> str:
    """Return the first rows as the docs show them."""
    with pl.Config(
        tbl_formatting="MARKDOWN",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_rows=6,
        tbl_cols=-1,
        tbl_width_chars=1000,
        fmt_str_lengths=40,
        float_precision=3,
    ):
        return str(frame.with_columns(pl.col(pl.String).str.replace_all("\n", " ")).head(6))


def test_every_query_of_the_docs_has_the_result_in_the_docs(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """After an intended change: UPDATE_SNAPSHOTS=1 pytest tests/test_sql.py, then review."""
    written = DOCS.read_text()
    cookbook = re.compile(r"```sql\n((?:(?!```).*\n)+)```\n\n(?:\|.*\n)*\n*")
    expected = cookbook.sub(
        lambda match: f"```sql\n{match[1]}```\n\n{as_markdown(connection.sql(match[1]).pl())}\n\n",
        written,
    )
    if os.environ.get("UPDATE_SNAPSHOTS"):
        DOCS.write_text(expected)
    assert len(cookbook.findall(written)) > 10
    assert DOCS.read_text() == expected


def test_the_docs_name_every_mart() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))
    assert listed == {model.name for model in MODELS if model.layer == "marts"}
