"""Gains are paired with the start, and a profile whose policies cannot be trained is refused."""

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from shepherd.policies import Descent, descents_of, evaluate_policies
from shepherd.schemas import GREEDY_SOLUTIONS, POLICY_EVALUATIONS, PROBLEMS, enforce
from shepherd.settings import Settings

FIELDS: dict[str, Any] = {
    "datasets": {"d": {"source": "word_problems", "num_train": 4, "num_test": 4}},
    "generators": {"g": {"base": "base-small", "training": {}}, "raw": {"base": "base-small"}},
    "completer": {"base": "base-large"},
    "process_reward_model": {"base": "base-large", "training": {}},
    "policies": {
        "again": {"kind": "rft", "start": "raw"},
        "stepwise": {"kind": "ppo", "start": "g", "reward_model": "process_reward_model"},
    },
}
DESCENTS = {"g": Descent("g", "SFT"), "p": Descent("g", "RFT")}


def solved(right: dict[str, list[bool]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return greedy solutions by model of as many problems, and the problems."""
    count = len(next(iter(right.values())))
    rows = [
        {
            "problem_id": str(problem),
            "generator": generator,
            "text": "",
            "is_correct": is_right,
            "grade_reason": "exact" if is_right else "different",
            "num_steps": 2 + problem,
            "num_repeated_steps": int(problem == 0),
            "finish_reason": "length" if problem == 1 else "stop",
            "num_tokens": 10 * problem,
        }
        for generator, verdicts in right.items()
        for problem, is_right in enumerate(verdicts)
    ]
    problems = pl.DataFrame(
        [{"problem_id": str(problem), "dataset": "d"} for problem in range(count)],
        schema=PROBLEMS.schema,
    )
    return pl.DataFrame(rows, schema=GREEDY_SOLUTIONS.schema), problems


def test_accuracy_gain_length_and_repetition_by_hand() -> None:
    greedy, problems = solved({"g": [True, False, False, False], "p": [True, True, False, True]})
    found = enforce(
        POLICY_EVALUATIONS, evaluate_policies(greedy, problems, DESCENTS, bootstrap=200, seed=0)
    )
    start, policy = found.to_dicts()
    assert (start["policy"], start["start"], start["gain"]) == ("g", "g", 0.0)
    assert start["gain_low"] == start["gain_high"] == 0.0
    assert (policy["accuracy"], policy["gain"], policy["num_problems"]) == (0.75, 0.5, 4)
    assert (policy["mean_tokens"], policy["mean_steps"]) == (15.0, 3.5)
    assert (policy["share_repeating"], policy["share_cut"]) == (0.25, 0.25)


def test_the_interval_of_a_gain_is_paired() -> None:
    # The policy solves what its start does and one problem in ten more: never fewer.
    start = [index % 2 == 0 for index in range(100)]
    policy = [right or index % 10 == 1 for index, right in enumerate(start)]
    greedy, problems = solved({"g": start, "p": policy})
    [_, found] = evaluate_policies(
        greedy.sample(fraction=1, shuffle=True, seed=1), problems, DESCENTS, bootstrap=1000, seed=0
    ).to_dicts()
    assert found["gain"] == pytest.approx(0.1)
    assert 0.03 < found["gain_low"] < 0.1 < found["gain_high"] < 0.18
    assert found["high"] - found["low"] > found["gain_high"] - found["gain_low"]


def test_models_that_solved_other_problems_are_refused() -> None:
    greedy, problems = solved({"g": [True, False], "p": [True, False]})
    with pytest.raises(ValueError, match="p solved 1 of 2 problems of d"):
        evaluate_policies(greedy.head(3), problems, DESCENTS, bootstrap=100, seed=0)


def test_methods_have_the_paper_s_names() -> None:
    fields = FIELDS | {"outcome_reward_model": {"base": "base-large"}}
    fields["policies"] = FIELDS["policies"] | {
        "whole": {"kind": "ppo", "start": "g", "reward_model": "outcome_reward_model"},
        "groups": {"kind": "grpo", "start": "g", "reward_model": "process_reward_model"},
    }
    assert descents_of(Settings.model_validate(fields)) == {
        "g": ("g", "SFT"),
        "raw": ("raw", "base"),
        "again": ("raw", "RFT"),
        "stepwise": ("g", "step-PPO"),
        "whole": ("g", "ORM-PPO"),
        "groups": ("g", "step-GRPO"),
    }


def test_problems_for_policies_alone_are_not_annotated() -> None:
    more = {"source": "word_problems", "num_train": 4, "num_test": 0, "annotated": False}
    settings = Settings.model_validate(FIELDS | {"datasets": FIELDS["datasets"] | {"more": more}})
    assert [one.is_annotated for one in settings.datasets.values()] == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"policies": {"x": {"kind": "rft", "start": "h"}}},
            "x.start: h is no generator: .* g, ra",
        ),
        ({"process_reward_model": None}, "stepwise.reward_model: add process_reward_model"),
        (
            {"engine": {"kind": "openai", "openai": {"base_urls": ["http://h/v1"]}}},
            "stepwise: servers keep their weights, .*: set engine.kind to transformers or vllm",
        ),
        (
            {"engine": {"dtype": "int8"}},
            "stepwise: the trainer compares .*: set engine.dtype to float32",
        ),
        (
            {"datasets": {"d": {"source": "gsm8k", "solutions": "samples.jsonl"}}},
            "policies: none would be trained, .* leave them out, or add a dataset without",
        ),
        (
            {
                "policies": {"x": FIELDS["policies"]["stepwise"] | {"num_processes": 2}},
                "engine": {"kind": "vllm", "vllm": {"tensor_parallel_size": 2}},
            },
            "x.num_processes: each process draws on its own GPU: set engine.vllm.tensor_par",
        ),
        (
            {"engine": {"kind": "vllm", "vllm": {"copies": 2}}},
            "stepwise: the GPUs of the training draw, too: set engine.vllm.copies to 1",
        ),
        (
            {"engine": {"kind": "vllm", "vllm": {"extra_arguments": {"quantization": "fp8"}}}},
            "stepwise: the trainer compares .*: leave out .*extra_arguments.quantization",
        ),
        (
            {"policies": {"x": FIELDS["policies"]["stepwise"] | {"sharded": True}}},
            "sharded: there is one process to hold the model: raise num_processes",
        ),
        (
            {
                "policies": {
                    "x": FIELDS["policies"]["stepwise"] | {"kind": "grpo", "samples_per_problem": 1}
                }
            },
            "greater than or equal to 2",
        ),
        (
            {"policies": {"x": FIELDS["policies"]["stepwise"] | {"kind": "grpo", "discount": 0.9}}},
            "Extra inputs",
        ),
        ({"policies": {"x": {"kind": "dpo", "start": "g"}}}, "rft"),
        ({"policies": {"../x": {"kind": "rft", "start": "g"}}}, "becomes a folder"),
    ],
)
def test_policies_that_cannot_be_trained_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(FIELDS | change)
