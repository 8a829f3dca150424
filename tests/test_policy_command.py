"""Policies from the command line, and what engines and checkpoints get of several processes."""

import os
import random
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from resources.storage.model_store import BASE_MODELS
from shepherd.identity import content_id
from shepherd.word_problems import draw_problems, write_solution
from training import policy_engine
from training.__main__ import run
from training.model_files import SavedWeights, save_gathered
from training.policies import engine_of


@pytest.fixture(scope="session")
def base() -> Path:
    """A model that writes words as its tokenizer does, as a random one does not."""
    return BASE_MODELS / "base-small"


def test_policies_are_trained_from_the_command_line(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(0)
    rows = [
        (content_id(p.question), split, p.question, write_solution(p, rng), str(p.answer))
        for split, count in (("train", 6), ("test", 2))
        for p in draw_problems(0, split, count)
    ]
    names = ["problem_id", "split", "question", "gold_solution", "gold_answer"]
    problems = pl.DataFrame(rows, schema=names, orient="row")
    problems.write_parquet(tmp_path / "problems.parquet")
    # One draw reasons as the gold solution does, one is wrong.
    drawn = problems.filter(split="train").select("problem_id", text="gold_solution")
    drawn.with_columns(is_correct=pl.Series([True, False] * 3)).write_parquet(
        tmp_path / "draws.parquet"
    )
    common = f"--base {base} --data {tmp_path}/problems.parquet"
    run(f"rft {common} --draws {tmp_path}/draws.parquet --out {tmp_path}/rft".split())
    assert "on 6 examples" in capsys.readouterr().out
    strange = problems.filter(split="test").select("problem_id", text="gold_solution")
    strange.with_columns(is_correct=True).write_parquet(tmp_path / "strange.parquet")
    with pytest.raises(ValueError, match="--draws: no solution is of a train problem"):
        run(f"rft {common} --draws {tmp_path}/strange.parquet --out {tmp_path}/x".split())
    for _ in range(2):  # the second replaces what the first saved
        run(
            f"ppo {common} --out {tmp_path}/ppo --reward-model outcome_reward_model "
            f"--reward-checkpoint {base} "
            "--iterations 1 --problems-per-iteration 2 --samples-per-problem 2 --num-validation 2 "
            "--max-tokens 8".split()
        )
        assert "1 iterations; reward" in capsys.readouterr().out
    run(
        f"grpo {common} --out {tmp_path}/grpo --reward-model process_reward_model "
        f"--reward-checkpoint {base} --iterations 1 --problems-per-iteration 1 "
        "--samples-per-problem 2 --num-validation 2 --max-tokens 8".split()
    )
    assert len(list((tmp_path / "ppo" / "runs").iterdir())) == 1
    for name in ("rft", "ppo", "grpo"):
        AutoModelForCausalLM.from_pretrained(tmp_path / name)
    assert len((tmp_path / "ppo" / "metrics.jsonl").read_text().splitlines()) == 2
    assert not list(tmp_path.glob(".*.training"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('{"dtype": "int8"}', "int8 changes them: set engine.dtype to float32"),
        (
            '{"kind": "openai", "openai": {"base_urls": ["http://a/v1"]}}',
            "servers keep their weights",
        ),
        ('{"kind": "vllm", "vllm": {"copies": 2}}', "set engine.vllm.copies to 1"),
        ('{"dtype": "int7"}', "Input should be"),
    ],
)
def test_an_engine_that_policies_cannot_use_is_named(settings: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"^--engine-settings: .*{says}"):
        engine_of(Namespace(engine="transformers", engine_settings=settings))


@pytest.mark.parametrize(("visible", "seen"), [("4,7", "7"), (None, "1")])
def test_an_engine_sees_the_gpu_of_its_process_and_no_launcher(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, seen: str
) -> None:
    second = SimpleNamespace(num_processes=2, local_process_index=1, device=torch.device("cuda:1"))
    monkeypatch.setattr(policy_engine, "PartialState", lambda: second)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with policy_engine.as_single_process():
        assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ.get("RANK")) == (seen, None)
    assert (os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["RANK"]) == (visible, "1")
    assert "MASTER_ADDR" not in os.environ


def test_gathered_weights_that_are_tied_are_saved_once(base: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    # Gathered shards share no storage.
    gathered = {name: weight.clone() for name, weight in model.state_dict().items()}
    saved = SavedWeights(model, gathered, torch.bfloat16)
    assert gathered.keys() - saved.keys() == {"lm_head.weight"}
    save_gathered(model, saved, tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == saved.keys()
    # The model's own weights are float32.
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert again.dtype == torch.bfloat16
    assert torch.equal(again.lm_head.weight, gathered["lm_head.weight"].bfloat16())
