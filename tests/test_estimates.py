from pathlib import Path

import polars as pl
import pytest

from cli.app import main
from cli.run_estimate import estimate_run
from cli.summary import total_costs
from resources.storage.lake import Lake
from shepherd.estimates import (
    CHARACTERS_PER_TOKEN,
    assumed_speed,
    estimate_critiques,
    estimate_dataset,
    extrapolate,
)
from shepherd.schemas import ROLLOUT_COSTS
from shepherd.settings import JudgeSettings, SamplingSettings, Settings
from shepherd.text_sizes import PUBLISHED_SIZES, sizes_of

PROBLEMS = pl.DataFrame(
    {
        "split": ["train", "train", "test"],
        "question": ["q" * 10, "q" * 20, "q" * 30],
        "gold_solution": ["aaaa\nbbb\ncc", None, "x" * 7],
    }
)
TRAIN, TEST = (sizes_of(PROBLEMS.filter(split=split)) for split in ("train", "test"))
SAMPLING = SamplingSettings(samples_per_problem=3, num_candidates=5)


def test_an_estimate_from_gold_and_typical_solutions() -> None:
    solutions, rollouts, candidates = estimate_dataset(
        "words", TRAIN, TEST, 2, 3, SAMPLING, num_rollouts=8
    )
    unit = CHARACTERS_PER_TOKEN
    assert (solutions.requests, candidates.requests) == (2 * 3 * 2, 1 * 5 * 3)
    assert solutions.prompt_tokens * unit == pytest.approx(30 * 6)
    assert solutions.completion_tokens * unit == pytest.approx((11 + 4 * 80) * 6)
    # Two non-final prefixes of the gold solution: "aaaa\n" leaves 6 characters, "aaaa\nbbb\n" 2;
    # three of the typical one, whose steps have 80 characters.
    assert rollouts.requests == (2 + 3) * 6 * 8
    prompts = (10 + 5) + (10 + 9) + (20 + 80) + (20 + 160) + (20 + 240)
    assert rollouts.prompt_tokens * unit == pytest.approx(prompts * 6 * 8)
    assert rollouts.completion_tokens * unit == pytest.approx((6 + 2 + 240 + 160 + 80) * 6 * 8)
    typical = "from typical solutions (4 x 80 characters) for 1 of 2, N everywhere"
    assert rollouts.basis == typical
    assert candidates.basis == "from gold solutions, N everywhere"


def test_a_profile_that_only_labels_has_no_candidates(tmp_path: Path) -> None:
    dataset = {"source": "word_problems", "num_train": 2, "num_test": 1}
    model = {"base": "b", "solves": ["train"]}
    fields = {"datasets": {"w": dataset}, "generators": {"g": model}, "completer": model}
    estimates = estimate_run(Settings.model_validate(fields), Lake(tmp_path))
    assert [one.stage for one in estimates] == ["solutions", "rollouts"]


def test_a_judge_reads_task_question_and_solution_for_each_vote() -> None:
    solutions, *_ = estimate_dataset("words", TRAIN, TEST, 2, 1, SAMPLING, num_rollouts=8)
    votes = estimate_critiques("words", solutions, JudgeSettings(base="owner/judge", num_votes=4))
    assert (votes.stage, votes.requests) == ("critiques", 12 * 4)
    assert votes.completion_tokens == 4 * solutions.completion_tokens
    task = votes.prompt_tokens / 48 - (solutions.prompt_tokens + solutions.completion_tokens) / 12
    assert 100 < task < 200


def test_prompts_hold_the_template(tmp_path: Path) -> None:
    dataset = {"source": "word_problems", "num_train": 2, "num_test": 1}

    def prompt_tokens(template: str) -> dict[str, float]:
        model = {"base": "b", "template": template}
        judge = {"kind": "judge", "base": "owner/judge", "template": template}
        fields = {
            "datasets": {"w": dataset},
            "generators": {"g": model},
            "completer": model,
            "annotation": {"annotators": ["monte_carlo", judge]},
            "sampling": {"samples_per_problem": 3, "num_candidates": 5},
        }
        found = estimate_run(Settings.model_validate(fields), Lake(tmp_path))
        return {each.stage: each.prompt_tokens / each.requests for each in found}

    bare, framed = prompt_tokens("{question}"), prompt_tokens("Problem: {question}\nAnswer:")
    assert sorted(bare) == ["candidates", "critiques", "rollouts", "solutions"]
    for stage, tokens in framed.items():
        around = len("Problem: \nAnswer:") / CHARACTERS_PER_TOKEN
        assert tokens - bare[stage] == pytest.approx(around)
    # What a chat template writes is known to the model's tokenizer alone.
    assert prompt_tokens("chat") == bare


def test_finished_shards_tell_better() -> None:
    row = {
        "stage": "rollouts",
        "dataset": "words",
        "shard": "00",
        "model": "completer",
        "num_requests": 10,
        "num_merged": 0,
        "num_spared": 0,
        "prompt_tokens": 100,
        "cached_tokens": 50,
        "completion_tokens": 40,
        "seconds": 2.0,
    }
    costs = pl.DataFrame([row, row | {"shard": "02"}], schema=ROLLOUT_COSTS.schema)
    found = extrapolate("words", "rollouts", costs, num_shards=4)
    assert found is not None
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (40, 400, 160)
    assert (found.tokens_per_second, found.basis) == (20, "measured on 2 of 4 shards")
    assert extrapolate("other", "rollouts", costs, num_shards=4) is None


def test_policies_and_problems_that_are_not_annotated_have_candidates(tmp_path: Path) -> None:
    words: dict[str, object] = {"source": "word_problems", "num_train": 4, "num_test": 3}
    settings = Settings.model_validate(
        {
            "datasets": {
                "here": words,
                "tested": words | {"annotated": False},
                "trained": words | {"annotated": False, "num_test": 0},
            },
            "generators": {"g": {"base": "base-small"}},
            "completer": {"base": "base-small"},
            "policies": {"p": {"kind": "rft", "start": "g", "candidates": True}},
            "sampling": {"num_candidates": 5},
        }
    )
    found = [
        (guess.dataset, guess.stage, guess.requests)
        for guess in estimate_run(settings, Lake(tmp_path))
        if guess.stage == "candidates" or guess.dataset != "here"
    ]
    assert found == [("here", "candidates", 3 * 5 * 2), ("tested", "candidates", 3 * 5 * 2)]


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path))
    assert main(["estimate", "--profile", "demo"]) == 0
    out = capsys.readouterr().out
    assert "3,000" in out
    assert "give --tokens-per-second" in out
    assert main(["estimate", "--profile", "demo", "--tokens-per-second", "1000"]) == 0
    assert "null" not in capsys.readouterr().out
    assert main(["estimate", "--profile", "dmo"]) == 2
    assert "no profile 'dmo'" in capsys.readouterr().err


def test_a_stage_that_drew_nothing_has_no_speed_and_no_share_of_cached_tokens() -> None:
    row = {"stage": "rollouts", "model": "completer", "num_merged": 0}
    drew = {"num_requests": 4, "prompt_tokens": 80, "cached_tokens": 60}
    costs = [
        row | drew | {"completion_tokens": 60, "seconds": 2.0},
        row | dict.fromkeys(drew, 0) | {"stage": "none", "completion_tokens": 0, "seconds": 0.0},
    ]
    totals = total_costs(pl.DataFrame(costs))
    assert totals["tokens_per_second"].to_list() == [30.0, None]
    assert totals["cached"].to_list() == [0.75, None]


def test_gsm8k_is_estimated_without_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GSM8K_DIR", "GSM8K_SOLUTIONS"):
        monkeypatch.delenv(name, raising=False)
    command = ["estimate", "--profile", "gsm8k", "--home", str(tmp_path)]
    assert main(command) == 0
    out = capsys.readouterr().out
    # 7,473 problems x 15 samples, and the GiB of both reward models.
    for words in ("112,095", "published size of GSM8K", "107.9 GiB", "15,588 tokens/s"):
        assert words in out
    assert "null" not in out
    assert main([*command, "--tokens-per-second", "1000"]) == 0
    assert "15,588" not in capsys.readouterr().out


def test_a_part_of_a_published_dataset_has_average_texts() -> None:
    whole = PUBLISHED_SIZES["gsm8k", "published", "test"]
    part = whole.at_most(132)
    assert part.problems == 132
    assert part.solutions / part.problems == pytest.approx(whole.solutions / whole.problems)
    assert whole.at_most(None) == whole.at_most(5000) == whole


def test_models_that_draw_in_turn_take_time_by_their_parameters() -> None:
    assert assumed_speed([1.1e9]) == pytest.approx(15_588)
    assert assumed_speed([1.1e9, 3.3e9]) == pytest.approx(15_588 / 2)
    assert assumed_speed([]) is None
