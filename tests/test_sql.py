"""The SQL itself: every test catches a planted defect, and the marts say what is in the lake."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from resources.warehouse import build_warehouse, sql_models, sql_tests
from shepherd.labels import label_accuracy
from shepherd.schemas import TABLES
from tests.small_lake import NUM_CANDIDATES, NUM_ROLLOUTS, NUM_SAMPLES, small_lake, write_lake

FRAMES = small_lake()

PLANTED = {
    "annotation_cost__every_rollout_is_paid_for": "delete from lake.rollouts where rowid = 0",
    "annotation_cost__merged_is_what_identical_prefixes_saved": (
        "update annotation_cost set num_merged = num_merged + 1"
    ),
    "calibration_bins__soft_lies_in_its_tenth": "update calibration_bins set tenth = 3",
    "dataset_counts__every_dataset_is_counted": "delete from dataset_counts",
    "dataset_counts__parts_are_not_above_the_whole": (
        "update dataset_counts set num_train_problems = num_problems + 1"
    ),
    "grading_reasons__few_answers_time_out": "update grading_reasons set grade_reason = 'timeout'",
    "grading_reasons__shares_add_up": "update grading_reasons set share = share + 0.1",
    "int_draws__nothing_is_drawn_less_than_once": "update int_draws set num_samples = 0",
    "int_labelled_steps__no_label_is_lost": "delete from int_labelled_steps where step_index = 1",
    "label_agreement__counts_add_up": "update label_agreement set num_steps = num_steps + 1",
    "label_quality__every_step_is_counted_once": "delete from label_quality where step_index = 1",
    "label_quality__shares_are_shares": "update label_quality set share_good = 1.5",
    "rollout_budgets__more_rollouts_call_no_fewer_steps_good": (
        "update rollout_budgets set num_false_wrong = 1000 where num_rollouts = 4"
    ),
    "sampling_costs__every_draw_is_paid_for": "delete from sampling_costs",
    "solved_problems__outcome_follows_from_the_counts": (
        "update solved_problems set solved_by = 'all'"
    ),
    "stg_candidate_scores__candidate_exists": "delete from lake.candidates where draw = 0",
    "stg_candidate_scores__scores_are_probabilities": (
        "update lake.candidate_scores set step_scores = [0.5, 'nan'::double] where rowid = 0"
    ),
    "stg_candidates__are_of_test_problems": "update lake.problems set split = 'train'",
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
    "stg_evaluations__method_is_known": "update lake.evaluations set method = 'BoN'",
    "stg_labeled_solutions__are_of_train_problems": "update lake.problems set split = 'test'",
    "stg_labeled_solutions__labels_are_the_step_labels": (
        "update lake.labeled_solutions set hard = list_transform(hard, lambda label: 1 - label)"
    ),
    "stg_labeled_solutions__lists_are_aligned": (
        "update lake.labeled_solutions set soft = soft[2:] where rowid = 0"
    ),
    "stg_labeled_solutions__solution_exists": "delete from lake.solutions where rowid = 0",
    "stg_problems__split_is_known": "update lake.problems set split = 'dev' where rowid = 0",
    "stg_problems__splits_share_no_question": (
        "insert into lake.problems select * replace ('other' as split) from lake.problems"
    ),
    "stg_problems__texts_are_not_blank": "update lake.problems set gold_answer = ' '",
    "stg_rejected__reason_is_given": "update lake.rejected set reason = ''",
    "stg_rollouts__correct_has_answer": "update lake.rollouts set answer = null",
    "stg_rollouts__draws_are_numbered_from_zero": (
        "delete from lake.rollouts where rollout_index = 1"
    ),
    "stg_rollouts__finish_reason_is_known": "update lake.rollouts set finish_reason = 'eos'",
    "stg_rollouts__prefix_exists": "delete from lake.steps where step_index = 1",
    "stg_rollouts__verdict_follows_its_reason": "update lake.rollouts set grade_reason = 'missing'",
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
        "update lake.rollouts set is_correct = not is_correct"
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
    "verification_results__accuracy_lies_in_its_interval": (
        "update verification_results set accuracy_high = accuracy - 0.1"
    ),
    "verification_results__nothing_beats_the_oracle": (
        "update verification_results set accuracy = 2 where method = 'PRM'"
    ),
    "verification_results__one_candidate_is_pass_at_1": (
        "update verification_results set accuracy = 2 where method = 'SC'"
    ),
    "verification_results__problems_are_those_drawn_for": (
        "update verification_results set num_problems = num_problems - 1"
    ),
}
"""One defect for each rule that is special to its model."""

NULLED = {
    "stg_problems": "lake.problems set question",
    "stg_solutions": "lake.solutions set text",
    "stg_steps": "lake.steps set prefix_id",
    "stg_rollouts": "lake.rollouts set completer",
    "stg_step_labels": "lake.oracle_labels set hard",
}
READS = {"stg_costs": "rollout_costs"}
MODELS, TESTS = sql_models(), {test.name: test for test in sql_tests()}


def defect_of(name: str) -> str:
    """Return a statement that breaks the rule of a test."""
    model, rule = name.split("__")
    if rule.endswith("is_unique"):
        table = f"lake.{READS.get(model, model[4:])}" if model.startswith("stg_") else model
        return f"insert into {table} from {table} limit 1"
    if rule == "required_columns_are_filled":
        return f"update {NULLED[model]} = null"
    return PLANTED[name]


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


@pytest.mark.parametrize("name", TESTS)
def test_every_sql_test_holds_and_catches_a_planted_defect(
    connection: duckdb.DuckDBPyConnection, name: str
) -> None:
    sql = TESTS[name].sql
    assert connection.execute(sql).fetchall() == []
    connection.execute(defect_of(name))
    assert connection.execute(sql).fetchall() != []


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
    for model in [*MODELS, *TESTS.values()]:
        assert not any(mark in model.sql for mark in ("{", "}", "read_parquet", ".parquet", "/'"))


def test_files_run_as_they_stand(connection: duckdb.DuckDBPyConnection) -> None:
    for model in [*MODELS, *TESTS.values()]:
        connection.execute(model.path.read_text())


def mart(connection: duckdb.DuckDBPyConnection, name: str) -> pl.DataFrame:
    return connection.sql(f"from {name}").pl()


def test_label_quality_adds_up_to_the_label_accuracy(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    quality = mart(connection, "label_quality").filter(annotator="monte_carlo")
    sums = quality.select(pl.selectors.starts_with("num_").sum()).row(0, named=True)
    assert sums["num_steps"] == sums["num_compared"] == found.num_steps
    assert sums["num_agreeing"] / sums["num_compared"] == pytest.approx(found.agreement)
    precision = sums["num_found_wrong"] / sums["num_labelled_wrong"]
    assert precision == pytest.approx(found.wrong_precision)
    assert sums["num_found_wrong"] / sums["num_truly_wrong"] == pytest.approx(found.wrong_recall)
    assert quality["reference"].unique().to_list() == ["oracle"]


def test_all_rollouts_give_the_labels_again(connection: duckdb.DuckDBPyConnection) -> None:
    budgets = mart(connection, "rollout_budgets")
    found = label_accuracy(FRAMES["step_labels"], FRAMES["oracle_labels"], FRAMES["steps"])
    assert budgets["num_rollouts"].to_list() == list(range(1, NUM_ROLLOUTS + 1))
    assert budgets["hard_agreement"][-1] == pytest.approx(found.agreement)


def test_annotation_cost_divides_by_the_labelled_steps(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    [cost] = mart(connection, "annotation_cost").to_dicts()
    rollouts, steps = FRAMES["rollouts"].height, FRAMES["steps"].height
    assert (cost["num_rollouts"], cost["num_labels"]) == (rollouts, steps)
    assert cost["rollouts_per_label"] == pytest.approx(rollouts / steps)
    assert cost["num_merged"] > 0


def test_dataset_counts_count_the_lake(connection: duckdb.DuckDBPyConnection) -> None:
    [counts] = mart(connection, "dataset_counts").to_dicts()
    assert counts["num_draws"] == FRAMES["problems"].filter(split="train").height * NUM_SAMPLES
    for table in ("problems", "solutions", "steps", "rollouts", "candidates", "rejected"):
        assert counts[f"num_{table}"] == FRAMES[table].height
    assert counts["num_paper_solutions"] is None


@pytest.mark.parametrize(
    ("dataset", "paper"), [("gsm8k", 170_000), ("MATH", 270_000), ("word_problems", None)]
)
def test_counts_stand_beside_the_papers(tmp_path: Path, dataset: str, paper: int | None) -> None:
    problems = FRAMES["problems"].with_columns(dataset=pl.lit(dataset))
    write_lake({"problems": problems}, tmp_path / "lake")
    build_warehouse(tmp_path / "lake", tmp_path / "warehouse.duckdb")
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        [counts] = mart(connection, "dataset_counts").to_dicts()
    assert (counts["num_paper_solutions"], counts["num_solutions"]) == (paper, 0)


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


DOCS = Path(__file__).parent.parent / "docs" / "sql.md"


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL))
def test_every_query_of_the_docs_runs_and_finds_something(
    connection: duckdb.DuckDBPyConnection, query: str
) -> None:
    assert connection.execute(query).fetchall()


def test_the_docs_name_every_mart() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))
    assert listed == {model.name for model in MODELS if model.layer == "marts"}
