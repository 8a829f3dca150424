from typing import Any

import polars as pl
import pytest

from shepherd.identity import content_id
from shepherd.schemas import LABELED_SOLUTIONS, PROBLEMS
from shepherd.settings import TrainingSet
from shepherd.training_sets import (
    outcome_examples,
    process_examples,
    sft_examples,
    train_problems,
)
from training.__main__ import examples_of

EVERYTHING = TrainingSet()


def replace(settings: TrainingSet, **fields: Any) -> TrainingSet:
    return settings.model_copy(update=fields)


def labeled(*rows: tuple[str, str, str, list[int]]) -> pl.LazyFrame:
    """Rows of (problem, solution, annotator, hard labels); right if the last label is 1."""
    return pl.LazyFrame(
        [
            {
                "solution_id": content_id(problem, solution),
                "problem_id": content_id(problem),
                "dataset": "d",
                "annotator": annotator,
                "question": problem,
                "steps": [f"{solution}{index}\n" for index in range(len(hard))],
                "hard": hard,
                "soft": [None if solution == "hard" else label / 2 for label in hard],
                "is_correct": hard[-1] == 1,
            }
            for problem, solution, annotator, hard in rows
        ],
        schema=LABELED_SOLUTIONS.schema,
    )


ROWS = labeled(
    ("p", "a", "mc", [1, 0, 1]),
    ("p", "b", "mc", [1, 1]),
    ("p", "c", "mc", [0, 0]),
    ("q", "hard", "mc", [1]),
    ("p", "a", "judge", [1, 0, 0]),
    ("p", "b", "judge", [1, 0]),
)


def found(settings: TrainingSet, *annotators: str) -> dict[str, tuple[list[str], list[float]]]:
    rows = process_examples(ROWS, settings, annotators or ["mc"], "train", 0).collect()
    return {
        steps[0][:-2]: (steps, labels) for steps, labels in rows.select("steps", "labels").rows()
    }


@pytest.mark.parametrize(
    ("settings", "annotator", "solutions"),
    [
        (EVERYTHING, "mc", ["a", "b", "c", "hard"]),
        (EVERYTHING, "judge", ["a", "b"]),
        (replace(EVERYTHING, keep_unanimous=False), "mc", ["a", "b", "c"]),
        (replace(EVERYTHING, labels="soft"), "mc", ["a", "b", "c"]),
        (replace(EVERYTHING, per_problem=3), "mc", ["a", "b", "c", "hard"]),
    ],
)
def test_solutions_are_chosen(settings: TrainingSet, annotator: str, solutions: list[str]) -> None:
    assert sorted(found(settings, annotator)) == solutions


def test_the_command_line_wants_an_annotator_named_where_there_are_several() -> None:
    with pytest.raises(ValueError, match="labels of judge, mc: name whose to train on with --ann"):
        examples_of("prm", ROWS, EVERYTHING, None, "train", 0)
    named = examples_of("prm", ROWS, EVERYTHING, ["judge"], "train", 0)
    assert named.collect().height == 2
    only = ROWS.filter(pl.col("annotator") == "judge")
    assert examples_of("prm", only, EVERYTHING, None, "train", 0).collect().equals(named.collect())


def test_the_labels_of_several_annotators_are_all_kept() -> None:
    settings = replace(EVERYTHING, per_problem=10)
    rows = process_examples(ROWS, settings, ["mc", "judge"], "train", 0).collect()
    assert rows.height == 6


def test_labels_are_hard_or_soft_and_may_end_at_the_first_wrong_step() -> None:
    assert found(EVERYTHING)["a"] == (["a0\n", "a1\n", "a2\n"], [1, 0, 1])
    dropped = found(replace(EVERYTHING, after_first_negative="drop", labels="soft"))
    assert dropped["a"] == (["a0\n", "a1\n"], [0.5, 0])
    assert dropped["b"] == (["b0\n", "b1\n"], [0.5, 0.5])
    assert dropped["c"] == (["c0\n"], [0])


def test_the_cap_takes_right_and_wrong_solutions_in_turn_by_seed() -> None:
    rows = labeled(*(("p", f"s{k}", "mc", [int(k < 3)]) for k in range(20)))
    capped = replace(EVERYTHING, per_problem=4)
    drawn = [
        outcome_examples(rows, capped, ["mc"], "train", seed).collect().sort("solution_id")
        for seed in (0, 0, 1)
    ]
    assert drawn[0].equals(drawn[1])
    assert not drawn[0].equals(drawn[2])
    for examples in drawn:
        assert sorted(label[0] for label in examples["labels"]) == [0, 0, 1, 1]


def test_outcome_examples_are_one_text_with_one_label() -> None:
    rows = outcome_examples(ROWS, EVERYTHING, ["mc"], "train", 0).collect()
    assert (["a0\na1\na2\n"], [1.0]) in rows.select("steps", "labels").rows()


def test_held_out_problems_are_the_same_for_every_set() -> None:
    many = labeled(*((f"p{k}", "s", "mc", [1]) for k in range(2_000)))
    held = replace(EVERYTHING, validation_share=0.1)
    train, validation = (
        set(process_examples(many, held, ["mc"], part, 3).collect()["problem_id"])
        for part in ("train", "validation")
    )
    assert not train & validation
    assert len(train | validation) == 2_000
    assert 150 < len(validation) < 250
    problems = many.select(
        "problem_id", "dataset", "question", split=pl.lit("train"),
        gold_solution=pl.lit("g"), gold_answer=pl.lit("1"),
    ).with_columns(level=None, subject=None).select(*PROBLEMS.schema)  # fmt: skip
    assert set(sft_examples(problems, held, "validation", 3).collect()["problem_id"]) == validation
    assert set(sft_examples(problems, held, "validation", 4).collect()["problem_id"]) != validation
    for_policies = train_problems(problems.collect(), held, "train", 3)
    assert set(for_policies["problem_id"]) == train
    assert train_problems(
        for_policies.with_columns(split=pl.lit("test")), held, "train", 3
    ).is_empty()


def test_a_set_is_streamed() -> None:
    batches = list(
        process_examples(ROWS, EVERYTHING, ["mc"], "train", 0).collect_batches(chunk_size=1)
    )
    assert sum(batch.height for batch in batches) == 4
    assert len(batches) > 1
