"""The self-check of ``python -m benchmarks.gpu``: one tiny run of each trainer and engine."""

import contextlib
import io
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import torch

from resources.engines import open_engine
from resources.storage.model_store import BASE_MODELS
from shepherd.mistakes import write_flawed
from shepherd.requests import Request, draw_all
from shepherd.settings import EngineSettings, VllmEngineSettings
from shepherd.word_problems import draw_problems, judge_steps, write_solution
from training.__main__ import run

BASE = BASE_MODELS / "base-small"
ENGINES = ("transformers", "vllm")


def checks(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each check and what runs it, the trainers in the order of their inputs."""
    data = _write_data(folder)
    short = ["--batch-size", "4", "--max-length", "192", "--epochs", "1"]

    def train(name: str, *flags: str) -> Callable[[], object]:
        source = {"sft": "gold", "orm": "whole", "prm": "steps"}.get(name, "problems")
        arguments = [name, "--base", str(BASE), "--data", str(data / f"{source}.parquet")]
        return lambda: run([*arguments, "--out", str(folder / name), *flags])

    for name in ("sft", "orm", "prm"):
        yield name, train(name, *short)
    yield "rft", train("rft", "--draws", str(data / "draws.parquet"), *short)
    sizes = ("--iterations", "1", "--problems-per-iteration", "2", "--samples-per-problem", "2")
    reward = ("--reward-model", "process_reward_model", "--reward-checkpoint", str(folder / "prm"))
    rest = ("--num-validation", "2", "--max-tokens", "32", "--batch-size", "2")
    yield "ppo", train("ppo", *reward, *sizes, *rest)
    for kind in ENGINES:
        if kind == "transformers" or has_vllm():
            yield f"engine {kind}", partial(_draw, kind)


def has_vllm() -> bool:
    """Return whether vLLM is installed beside a GPU; ``benchmarks.engine_overhead`` serves CPUs."""
    return torch.cuda.is_available() and find_spec("vllm") is not None


def run_quietly(check: Callable[[], object]) -> None:
    """Run a check without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        check()


def _write_data(folder: Path) -> Path:
    """Write the files that the trainers read, of eight word problems; return their folder."""
    rng, data = random.Random(0), folder / "data"
    data.mkdir()
    problems = list(draw_problems(0, "train", 8))
    gold = [write_solution(problem, rng) for problem in problems]
    flawed = [write_flawed(problem, rng, error_rate=0.3)[0] for problem in problems]
    labels = [
        [float(right) for right in judge_steps(problem.question, steps)]
        for problem, steps in zip(problems, flawed, strict=True)
    ]
    questions = [problem.question for problem in problems]
    ids = [str(index) for index in range(len(problems))]
    frames: dict[str, dict[str, Any]] = {  # columns of several types
        "gold": {"question": questions, "solution": gold},
        "steps": {"question": questions, "steps": flawed, "labels": labels},
        "whole": {
            "question": questions,
            "steps": [["".join(steps)] for steps in flawed],
            "labels": [[min(values)] for values in labels],
        },
        "problems": {
            "problem_id": ids,
            "split": ["train"] * len(ids),
            "question": questions,
            "gold_solution": gold,
            "gold_answer": ["1"] * len(ids),
        },
        "draws": {"problem_id": ids, "text": gold, "is_correct": [True] * len(ids)},
    }
    for name, columns in frames.items():
        pl.DataFrame(columns).write_parquet(data / f"{name}.parquet")
    return data


def _draw(kind: str) -> None:
    """Draw four completions of two problems."""
    vllm = VllmEngineSettings(enforce_eager=True, gpu_memory_utilization=0.3)
    settings = EngineSettings(kind=kind, batch_size=4, vllm=vllm)
    requests = [
        Request(f"{p}/{k}", problem.question + "\n", 2 * p + k, 0.7, 16)
        for p, problem in enumerate(draw_problems(0, "train", 2))
        for k in range(2)
    ]
    with closing(open_engine(settings, BASE)) as engine:
        drawn = draw_all(engine, requests)
    assert len(drawn) == len(requests)
    assert all(completion.num_tokens > 0 for completion in drawn)
