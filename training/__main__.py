"""Train from the command line, without Dagster.

    python -m training prm --base BASE --data labeled_solutions.parquet --out models/prm
    accelerate launch --multi_gpu --num_processes 8 -m training prm --base BASE ...

The data are Parquet files of the lake (``labeled_solutions``; ``problems`` for SFT), of which
the fields of a training set choose, or files of what trainers read: question, steps and labels
(question and solution for SFT), all of which are then trained on. ``python -m training ppo`` and
``rft`` train policies (:mod:`training.policies`).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from accelerate import PartialState

from shepherd.settings import TrainingSet, TrainingSettings
from shepherd.training_sets import Part, outcome_examples, process_examples, sft_examples
from training import policies
from training.command_line import add_fields, read_fields
from training.loop import TrainingReport
from training.orm import train_orm
from training.prm import train_prm
from training.sft import train_sft

TRAINERS = {"sft": train_sft, "orm": train_orm, "prm": train_prm}


def run(arguments: Sequence[str] | None = None) -> TrainingReport:
    """Read Parquet files, train, save a checkpoint and print what was done."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("trainer", choices=TRAINERS)
    parser.add_argument("--base", required=True, help="checkpoint folder or hub name")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="Parquet files")
    parser.add_argument(
        "--held-out", type=Path, help="Parquet file of examples to evaluate on instead of a share"
    )
    parser.add_argument("--annotator", nargs="+", help="whose labels to train on")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, help="folder for checkpoints of the run itself")
    parser.add_argument("--template", default="plain")
    parser.add_argument("--seed", type=int, default=0)
    add_fields(parser, TrainingSettings)
    add_fields(parser, TrainingSet)
    args = parser.parse_args(arguments)
    settings = read_fields(parser, args, TrainingSettings)
    chosen = read_fields(parser, args, TrainingSet)
    data = pl.scan_parquet(args.data)

    def examples(part: Part) -> pl.LazyFrame:
        return examples_of(args.trainer, data, chosen, args.annotator, part, args.seed)

    report = TRAINERS[args.trainer](
        args.base,
        examples("train"),
        args.out,
        settings,
        template=args.template,
        seed=args.seed,
        held_out=pl.scan_parquet(args.held_out) if args.held_out else examples("validation"),
        work=args.work,
    )
    PartialState().print(
        f"{report.num_steps} steps on {report.num_examples:,} examples ({report.num_cut} cut) in "
        f"{report.seconds:.0f} s; loss {report.losses[0]:.3f} -> {report.losses[-1]:.3f}; "
        f"saved to {args.out}"
    )
    return report


def examples_of(
    trainer: str,
    data: pl.LazyFrame,
    chosen: TrainingSet,
    annotators: Sequence[str] | None,
    part: Part,
    seed: int,
) -> pl.LazyFrame:
    """Return what a trainer reads of the data: examples as they are, or chosen from the lake's."""
    columns = set(data.collect_schema().names())
    if {"labels", "solution"} & columns:
        return data if part == "train" else data.clear()
    if trainer == "sft":
        return sft_examples(data, chosen, part, seed)
    choose = process_examples if trainer == "prm" else outcome_examples
    if not annotators:
        annotators = data.select("annotator").unique().collect()["annotator"].sort().to_list()
        if trainer == "prm" and len(annotators) > 1:
            found = ", ".join(annotators)
            raise ValueError(
                f"--data holds labels of {found}: name whose to train on with --annotator"
            )
    return choose(data, chosen, annotators, part, seed)


if __name__ == "__main__":
    if sys.argv[1:2] in (["ppo"], ["rft"]):
        policies.main()
    else:
        run()
