"""Train a policy from the command line: PPO, or rejection-sampling fine-tuning.

    python -m training ppo --base models/generator --data problems.parquet --out models/step_ppo \
        --reward-model process_reward_model --judge models/process_reward_model
    python -m training rft --base BASE --data problems.parquet --draws draws.parquet --out OUT

``--data`` are files of the lake's ``problems``, of which the train split counts; ``--draws`` are
solutions of these (problem_id, text, is_correct), such as its ``solutions``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import get_args

import polars as pl

from shepherd.answers import extract_answer
from shepherd.equivalence import compare
from shepherd.settings import PpoSettings, TrainingSettings
from shepherd.splitting import Method
from training.command_line import add_fields, read_fields
from training.draws import Sampler
from training.ppo import train_ppo
from training.rft import train_rft
from training.scoring import Scorer

ENGINE = "resources.engines.transformers:TransformersEngine"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read Parquet files, train, save a checkpoint and print what was done."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="trainer", required=True)
    ppo, rft = kinds.add_parser("ppo"), kinds.add_parser("rft")
    for kind in (ppo, rft):
        kind.add_argument("--base", required=True, help="checkpoint folder or hub name")
        kind.add_argument("--data", type=Path, nargs="+", required=True, help="Parquet files")
        kind.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
        kind.add_argument("--work", type=Path, help="folder for what a killed run goes on from")
        kind.add_argument("--template", default="plain")
        kind.add_argument("--splitting", choices=get_args(Method), default="auto")
        kind.add_argument("--seed", type=int, default=0)
    rft.add_argument("--draws", type=Path, nargs="+", required=True, help="Parquet files")
    ppo.add_argument("--judge", required=True, help="checkpoint folder of the reward model")
    ppo.add_argument("--judge-template", default="plain")
    ppo.add_argument("--judge-length", type=int, default=512, help="tokens it reads at most")
    ppo.add_argument("--max-tokens", type=int, default=512, help="most tokens of a response")
    ppo.add_argument("--engine", default=ENGINE, help="module:name that opens a checkpoint folder")
    ppo.set_defaults(kind="ppo", start="")
    add_fields(ppo, PpoSettings)
    add_fields(rft, TrainingSettings)
    args = parser.parse_args(arguments)
    problems = pl.read_parquet(args.data).filter(split="train")
    problems = problems.with_columns(splitting=pl.lit(args.splitting))
    work = args.work or args.out.with_name(f".{args.out.name}.training")
    if args.trainer == "rft":
        print(_rft(args, read_fields(rft, args, TrainingSettings), problems, work))
    else:
        print(_ppo(args, read_fields(ppo, args, PpoSettings), problems, work))


def _rft(
    args: argparse.Namespace, settings: TrainingSettings, problems: pl.DataFrame, work: Path
) -> str:
    gold = problems.filter(pl.col("gold_solution").is_not_null())
    draws = pl.read_parquet(args.draws).join(problems, on="problem_id", maintain_order="left")
    if draws.is_empty():
        raise ValueError(
            "--draws: no solution is of a train problem of --data: give solutions of these problems"
        )
    report = train_rft(
        args.base,
        gold.select("question", solution="gold_solution"),
        draws,
        args.out,
        settings,
        template=args.template,
        seed=args.seed,
        work=work,
    )
    return f"{report.num_steps} steps on {report.num_examples:,} examples; saved to {args.out}"


def _ppo(
    args: argparse.Namespace, settings: PpoSettings, problems: pl.DataFrame, work: Path
) -> str:
    judges_steps = settings.reward_model == "process_reward_model"
    rows = train_ppo(
        args.base,
        problems,
        args.out,
        settings,
        template=args.template,
        scorer=Scorer(
            args.judge,
            kind="process" if judges_steps else "outcome",
            template=args.judge_template,
            max_length=args.judge_length,
        ),
        sampler=Sampler(resolve_name(args.engine), args.max_tokens, args.seed),
        grade=grade_exactly,
        work=work,
        tell=lambda _row: None,
    )
    first, last = rows[0], rows[-1]
    return "; ".join(
        [
            f"{settings.iterations} iterations",
            *(f"{name} {first[name]:.3f} -> {last[name]:.3f}" for name in SHOWN),
            f"saved to {args.out}",
        ]
    )


SHOWN = ("reward", "kl", "held_out_accuracy", "tokens", "repeated_steps")


def grade_exactly(
    golds: Sequence[str], texts: Sequence[str], finish_reasons: Sequence[str]
) -> list[bool]:
    """Say which texts have the gold answer, as far as plain comparison can tell."""
    answers = [
        extract_answer(text) if reason == "stop" else None
        for text, reason in zip(texts, finish_reasons, strict=True)
    ]
    return [
        answer is not None and compare(gold, answer) in ("equal", "rounded")
        for gold, answer in zip(golds, answers, strict=True)
    ]
