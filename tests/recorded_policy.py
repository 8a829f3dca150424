"""Train a policy on recorded responses, in one process or as one of several.

    python tests/recorded_policy.py FOLDER RECORD METHOD [--kill RANK] [--sharded]

Responses are drawn once, and read from the folder RECORD afterwards, so that runs which round
otherwise learn from the same texts. ``--kill`` ends that process by SIGKILL in the second
iteration. ``--sharded`` makes accelerate shard on CPUs, where it does not by itself.
"""

import argparse
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from resources.engines import open_reloadable_engine
from resources.sampling.completion_grading import CompletionGrader
from resources.storage.model_store import BASE_MODELS
from shepherd.identity import content_id
from shepherd.requests import Completion, Engine, Request
from shepherd.settings import EngineSettings, GrpoSettings, PpoSettings, ReinforcementSettings
from shepherd.word_problems import draw_problems
from training.draws import PolicySampler
from training.model_files import join_processes, whole_model
from training.ppo import PpoRun, train_ppo
from training.scoring import Scorer

BASE = BASE_MODELS / "base-small"
FEW = {
    "start": "generator",
    "reward_model": "process_reward_model",
    "iterations": 2,
    "problems_per_iteration": 3,
    "batch_tokens": 300,
    "learning_rate": 1e-3,
    "num_validation": 2,
}
METHODS: dict[str, ReinforcementSettings] = {
    # Nine responses in steps of four: the last step has fewer responses than processes.
    "ppo": PpoSettings.model_validate(
        FEW | {"kind": "ppo", "samples_per_problem": 3, "batch_size": 4, "warmup_share": 0.0}
    ),
    "grpo": GrpoSettings.model_validate(
        FEW | {"kind": "grpo", "samples_per_problem": 3, "batch_size": 4}
    ),
}


@dataclass(frozen=True)
class RecordedSampler(PolicySampler):
    """Reads the completions of requests that were drawn before."""

    record: Path = Path()
    killed_rank: int | None = None

    def _draw_share(
        self, engine: Engine, requests: Sequence[Request], group_size: int
    ) -> dict[int, Completion]:
        is_second = requests[0].id.startswith("3:")
        if is_second and self.killed_rank == PartialState().process_index:
            os.kill(os.getpid(), signal.SIGKILL)
        file = self.record / f"{content_id(*(f'{r.id} {r.prompt}' for r in requests))}.json"
        if file.is_file():
            return dict(enumerate(Completion(*row) for row in json.loads(file.read_text())))
        drawn = super()._draw_share(engine, requests, group_size)
        if PartialState().is_main_process:
            file.write_text(json.dumps([drawn[index] for index in range(len(requests))]))
        return drawn


def train(
    folder: Path,
    record: Path,
    method: str,
    *,
    killed_rank: int | None = None,
) -> list[dict[str, float]]:
    """Train in ``folder`` and return the metrics."""
    torch.set_num_threads(1)
    record.mkdir(parents=True, exist_ok=True)
    rows = [(p.question, str(p.answer)) for p in draw_problems(0, "train", 8)]
    problems = pl.DataFrame(rows, schema=["question", "gold_answer"], orient="row").with_columns(
        problem_id=pl.col("question").map_elements(content_id, return_dtype=pl.String),
        splitting=pl.lit("auto"),
    )
    with whole_model():
        scorer = Scorer(BASE, kind="process", template="plain", max_length=192)
    draw = partial(open_reloadable_engine, EngineSettings(batch_size=64, dtype="float32"))
    return train_ppo(
        PpoRun(
            BASE,
            problems,
            folder / "out",
            METHODS[method],
            template="plain",
            scorer=scorer,
            sampler=RecordedSampler(draw, 40, 5, record=record, killed_rank=killed_rank),
            grade=CompletionGrader().are_correct,
            work=folder / "work",
        )
    )


def shard_on_cpus() -> None:
    """Let accelerate shard as on GPUs: it would leave the models of a CPU whole."""
    os.environ |= {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_RESHARD_AFTER_FORWARD": "true",
        "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
        "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    }
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    assert join_processes().distributed_type == DistributedType.FSDP


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("method")
    parser.add_argument("--kill", type=int)
    parser.add_argument("--sharded", action="store_true")
    args = parser.parse_args()
    if args.sharded:
        shard_on_cpus()
    train(args.folder, args.record, args.method, killed_rank=args.kill)


if __name__ == "__main__":
    main()
