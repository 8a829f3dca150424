"""Train a policy from the command line: rejection-sampling fine-tuning (RFT), PPO or GRPO.

    python -m training rft --base BASE --data problems.parquet --draws draws.parquet --out OUT
    python -m training ppo --base models/generator --data problems.parquet --out models/step_ppo \
        --reward-model process_reward_model \
        --reward-checkpoint models/process_reward_model
    python -m training grpo ...  # the same flags

``--data`` are files of the lake's ``problems``, of which the train split counts. ``--draws`` are
solutions of these problems (problem_id, text, is_correct), such as the lake's ``solutions``.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import get_args

import polars as pl
from accelerate import PartialState
from pydantic import ValidationError

from resources.engines import open_reloadable_engine
from resources.sampling.completion_grading import CompletionGrader
from shepherd.reward_formats import FormatChoice
from shepherd.settings import EngineSettings, GrpoSettings, PpoSettings, TrainingSettings
from shepherd.splitting import MethodName
from training.command_line import (
    add_common_flags,
    add_data_flags,
    add_fields,
    check_model,
    read_fields,
    require_columns,
    scan_files,
)
from training.draws import PolicySampler
from training.example_rows import check_files
from training.model_files import join_processes, whole_model
from training.policy_metrics import IterationMetrics
from training.ppo import PpoRun, train_ppo
from training.rft import train_rft
from training.runs import TrainingReport, TrainingRun, work_folder_of
from training.scoring import Scorer

ENGINES = ("transformers", "vllm")
"""Engines that load weights from a folder, as policies need in each iteration; a server cannot."""
SUMMARIZED = ("reward", "kl", "held_out_accuracy", "tokens", "repeated_steps")
"""Metrics of the first and the last iteration that the summary shows."""
PROFILE_FIELDS = {"start": ""}
"""Fields of ReinforcementSettings that name things of a profile; the command line has flags for
them."""
METHODS: dict[str, tuple[type[PpoSettings] | type[GrpoSettings], str]] = {
    "ppo": (
        PpoSettings,
        "train by PPO against a reward model (section 3.4 of arXiv 2312.08935)",
    ),
    "grpo": (
        GrpoSettings,
        "train by GRPO against a reward model (section 4.1 of arXiv 2402.03300)",
    ),
}
"""The settings of each method, and what it does."""

Trainers = argparse._SubParsersAction  # argparse has no public name for it


def add_rft(trainers: "Trainers[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command line of RFT."""
    purpose = "fine-tune on gold solutions and on right draws (arXiv 2308.01825)"
    parser = trainers.add_parser("rft", help=purpose, description=purpose)
    add_common_flags(parser)
    add_data_flags(parser, "problems")
    parser.add_argument(
        "--draws", type=Path, nargs="+", required=True, help="Parquet files of drawn solutions"
    )
    add_fields(parser, TrainingSettings)
    parser.set_defaults(train=run_rft)
    return parser


def add_reinforcement(
    trainers: "Trainers[argparse.ArgumentParser]", kind: str
) -> argparse.ArgumentParser:
    """Add the command line of PPO or GRPO."""
    section, purpose = METHODS[kind]
    parser = trainers.add_parser(kind, help=purpose, description=purpose)
    add_common_flags(parser)
    add_data_flags(parser, "problems")
    parser.add_argument(
        "--splitting",
        choices=get_args(MethodName),
        help="how responses are split into steps (default: by the column splitting of --data, or "
        "auto without it)",
    )
    parser.add_argument(
        "--reward-checkpoint", required=True, help="checkpoint folder of the reward model"
    )
    parser.add_argument(
        "--reward-template", default="plain", help="the reward model's template (default: plain)"
    )
    parser.add_argument(
        "--reward-format",
        choices=get_args(FormatChoice),
        default="auto",
        help="what the reward model reads (default: by its name and its parts)",
    )
    parser.add_argument(
        "--reward-length",
        type=int,
        default=512,
        metavar="TOKENS",
        help="most tokens that the reward model reads (default: 512)",
    )
    _add_engine_flags(parser)
    add_fields(parser, section, without={*PROFILE_FIELDS, "kind", "candidates"})
    parser.set_defaults(train=run_reinforcement)
    return parser


def _add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how responses are drawn."""
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=512,
        metavar="TOKENS",
        help="most tokens of a response (default: 512)",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="transformers",
        help="engine that draws responses (default: transformers)",
    )
    parser.add_argument(
        "--engine-settings",
        metavar="JSON",
        help="fields of the engine as a profile has them, in place of --engine",
    )
    parser.add_argument("--engine-log", type=Path, help="file for what the engine prints")
    parser.add_argument(
        "--stop", nargs="+", default=(), metavar="TEXT", help="texts that end a response"
    )


def run_rft(args: argparse.Namespace) -> TrainingReport:
    """Train by RFT and print a summary.

    Raises:
        ValueError: no draw is a solution of a train problem.
    """
    settings = read_fields(args, TrainingSettings)
    problems = read_problems(args, "gold_solution")
    solutions = scan_files(args.draws, "--draws")
    require_columns(solutions, ("problem_id", "text", "is_correct"), "--draws")
    check_files(args.draws, "--draws", ("text", "is_correct"))
    draws = solutions.collect().join(problems, on="problem_id", maintain_order="left")
    if draws.is_empty():
        raise ValueError(
            "--draws: no solution is of a train problem of --data: give solutions of these problems"
        )
    gold = problems.filter(pl.col("gold_solution").is_not_null())
    run = TrainingRun(
        args.base,
        gold.select("question", solution="gold_solution"),
        args.out,
        settings,
        template=args.template,
        seed=args.seed,
        work=args.work,
    )
    report = train_rft(run, draws)
    PartialState().print(f"{report.summary()}; saved to {args.out}")
    return report


def run_reinforcement(args: argparse.Namespace) -> list[IterationMetrics]:
    """Train by PPO or GRPO and print a summary."""
    section, _ = METHODS[args.trainer]
    settings = read_fields(args, section, kind=args.trainer, **PROFILE_FIELDS)
    problems = read_problems(args, "gold_answer")
    if args.splitting or "splitting" not in problems.columns:
        problems = problems.with_columns(splitting=pl.lit(args.splitting or "auto"))
    # Each process joins the others before it loads a model, so that the model gets its device.
    join_processes()
    check_model(args.reward_checkpoint, "--reward-checkpoint")
    scores_steps = settings.reward_model == "process_reward_model"
    with whole_model():
        scorer = Scorer(
            args.reward_checkpoint,
            kind="process" if scores_steps else "outcome",
            template=args.reward_template,
            max_length=args.reward_length,
            format=args.reward_format,
        )
    run = PpoRun(
        start=args.base,
        problems=problems,
        out=args.out,
        settings=settings,
        template=args.template,
        scorer=scorer,
        sampler=PolicySampler(
            partial(open_reloadable_engine, engine_of(args), log=args.engine_log),
            args.max_tokens,
            args.seed,
            tuple(args.stop),
        ),
        grade=CompletionGrader().are_correct,
        work=args.work or work_folder_of(args.out),
    )
    history = train_ppo(run)
    first, last = history[0], history[-1]
    changes = [f"{name} {first[name]:.3f} -> {last[name]:.3f}" for name in SUMMARIZED]
    parts = [f"{settings.iterations} iterations", *changes, f"saved to {args.out}"]
    PartialState().print("; ".join(parts))
    return history


def engine_of(args: argparse.Namespace) -> EngineSettings:
    """Return the settings of the engine that draws responses.

    Raises:
        ValueError: ``--engine-settings`` is wrong, or policies cannot draw with them.
    """
    if args.engine_settings is None:
        return EngineSettings(kind=args.engine)
    try:
        settings = EngineSettings.model_validate_json(args.engine_settings)
    except ValidationError as error:
        raise ValueError(f"--engine-settings: {error.errors()[0]['msg']}") from error
    try:
        settings.check_draws_of_policies()
    except ValueError as error:
        raise ValueError(f"--engine-settings: {error}") from error
    return settings


def read_problems(args: argparse.Namespace, gold: str) -> pl.DataFrame:
    """Return the train problems of ``--data``, with a check of its rows and of ``--base``.

    ``gold`` is the column of what the trainer learns from.
    """
    check_model(args.base, "--base")
    problems = scan_files(args.data, "--data")
    require_columns(problems, ("problem_id", "split", "question", gold), "--data")
    check_files(args.data, "--data", ("split", "question", gold))
    return problems.filter(split="train").collect()
