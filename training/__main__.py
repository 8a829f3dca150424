"""Train from the command line, without Dagster.

    python -m training prm --base BASE --data labeled_solutions.parquet --out models/prm
    accelerate launch --multi_gpu --num_processes 8 -m training prm --base BASE ...

``sft``, ``orm`` and ``prm`` fine-tune a model. Their data are Parquet files of the lake
(``problems`` for SFT, else ``labeled_solutions``), from which the fields of TrainingSet select; or
files of examples, which are all trained on: question, steps and labels, or question and solution
for SFT. ``rft``, ``ppo`` and ``grpo`` train policies (:mod:`training.policies`).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from accelerate import PartialState

from shepherd.settings import TrainingSet, TrainingSettings
from shepherd.training_sets import Part, outcome_examples, process_examples, sft_examples
from training import policies
from training.command_line import (
    add_common_flags,
    add_data_flags,
    add_fields,
    check_model,
    exit_on_mistake,
    read_fields,
    require_columns,
    scan_files,
)
from training.example_rows import check_files
from training.orm import train_orm
from training.policy_metrics import IterationMetrics
from training.prm import train_prm
from training.runs import TrainingReport, TrainingRun
from training.sft import train_sft

PROG = "python -m training"
TRAINERS = {"sft": train_sft, "orm": train_orm, "prm": train_prm}
EXAMPLE_COLUMNS = {
    "sft": ("question", "solution"),
    "orm": ("question", "steps", "labels"),
    "prm": ("question", "steps", "labels"),
}
"""What each trainer reads of files of examples."""
LABELED_COLUMNS = (
    "solution_id",
    "problem_id",
    "annotator",
    "question",
    "steps",
    "hard",
    "soft",
    "is_correct",
)
"""What the selection of examples reads of ``labeled_solutions``."""
PROBLEM_COLUMNS = ("problem_id", "split", "question", "gold_solution")
"""What the selection of examples reads of ``problems``."""
PURPOSES = {
    "sft": "fine-tune on gold solutions",
    "orm": "train an outcome reward model (equation 1 of arXiv 2312.08935)",
    "prm": "train a process reward model (equation 2 of arXiv 2312.08935)",
}


def run(arguments: Sequence[str] | None = None) -> TrainingReport | list[IterationMetrics]:
    """Run the trainer that the arguments name, and print a summary.

    Returns:
        The report of a fine-tuning run, or the metrics of each iteration of PPO or GRPO.

    Raises:
        ValueError: a flag, a file or a model is wrong.
    """
    args = build_parser().parse_args(arguments)
    trained: TrainingReport | list[IterationMetrics] = args.train(args)
    return trained


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all trainers; its help explains the flags of each of them."""
    parser = argparse.ArgumentParser(
        prog=PROG, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trainers = parser.add_subparsers(
        dest="trainer", required=True, metavar="{sft,orm,prm,rft,ppo,grpo}", title="trainers"
    )
    for name, purpose in PURPOSES.items():
        fine_tuning = trainers.add_parser(name, help=purpose, description=purpose)
        add_fine_tuning_flags(fine_tuning)
    rft = policies.add_rft(trainers)
    ppo, grpo = (policies.add_reinforcement(trainers, kind) for kind in ("ppo", "grpo"))
    explained = (
        ("sft, orm and prm", fine_tuning),
        ("rft", rft),
        ("ppo", ppo),
        ("grpo", grpo),
    )
    parser.epilog = "\n\n".join(
        f"flags of {names}\n{one.format_help()}" for names, one in explained
    )
    return parser


def add_fine_tuning_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of SFT, ORM and PRM."""
    add_common_flags(parser)
    add_data_flags(parser, "problems or labeled_solutions, or of examples")
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FILE",
        help="Parquet file of examples to evaluate on (default: the share --validation-share)",
    )
    parser.add_argument(
        "--annotator",
        nargs="+",
        metavar="NAME",
        help="annotators whose labels to train on (default: all for an ORM, the only one for a "
        "PRM)",
    )
    add_fields(parser, TrainingSettings)
    add_fields(parser, TrainingSet)
    parser.set_defaults(train=fine_tune)


def fine_tune(args: argparse.Namespace) -> TrainingReport:
    """Train by SFT, or train an ORM or a PRM."""
    settings = read_fields(args, TrainingSettings)
    training_set = read_fields(args, TrainingSet)
    check_model(args.base, "--base")
    data = scan_files(args.data, "--data")

    columns = columns_of(args.trainer, data)
    is_whole = args.trainer == "orm"
    check_files(args.data, "--data", columns, is_whole=is_whole and "labels" in columns)
    held_out = scan_files([args.held_out], "--held-out") if args.held_out else None
    if held_out is not None:
        check_files([args.held_out], "--held-out", EXAMPLE_COLUMNS[args.trainer], is_whole=is_whole)

    def examples(part: Part) -> pl.LazyFrame:
        return examples_of(args.trainer, data, training_set, args.annotator, part, args.seed)

    report = TRAINERS[args.trainer](
        TrainingRun(
            args.base,
            examples("train"),
            args.out,
            settings,
            template=args.template,
            seed=args.seed,
            held_out=examples("validation") if held_out is None else held_out,
            work=args.work,
        )
    )
    PartialState().print(f"{report.summary()}; saved to {args.out}")
    return report


def columns_of(trainer: str, data: pl.LazyFrame) -> Sequence[str]:
    """Return the columns that a trainer reads: of files of examples, or of the lake's.

    Raises:
        ValueError: a column is missing.
    """
    columns: Sequence[str] = EXAMPLE_COLUMNS[trainer]
    if not {"labels", "solution"} & set(data.collect_schema().names()):
        columns = PROBLEM_COLUMNS if trainer == "sft" else LABELED_COLUMNS
    require_columns(data, columns, "--data")
    return columns


def examples_of(
    trainer: str,
    data: pl.LazyFrame,
    training_set: TrainingSet,
    annotators: Sequence[str] | None,
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    """Return the examples of a trainer: all rows of example files, or those selected of the lake's.

    Raises:
        ValueError: a column is missing, or a PRM has labels of several annotators to choose from.
    """
    if columns_of(trainer, data) == EXAMPLE_COLUMNS[trainer]:
        return data if part == "train" else data.clear()
    if trainer == "sft":
        return sft_examples(data, training_set, part, seed)
    select = process_examples if trainer == "prm" else outcome_examples
    if not annotators:
        annotators = data.select("annotator").unique().collect()["annotator"].sort().to_list()
        if trainer == "prm" and len(annotators) > 1:
            names = ", ".join(annotators)
            raise ValueError(
                f"--data holds labels of {names}: name whose to train on with --annotator"
            )
    return select(data, training_set, annotators, part, seed)


if __name__ == "__main__":
    with exit_on_mistake(PROG):
        run()
