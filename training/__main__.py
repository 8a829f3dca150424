"""Train from the command line, without Dagster.

python -m training prm --base BASE --data labeled_solutions.parquet --out models/prm
"""

import argparse
from pathlib import Path

import polars as pl

from shepherd.settings import TrainingSettings
from training.orm import train_orm
from training.prm import train_prm
from training.sft import train_sft

TRAINERS = {"sft": train_sft, "orm": train_orm, "prm": train_prm}


def main() -> None:
    """Read a Parquet file, train, save a checkpoint and print what was done."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("trainer", choices=TRAINERS)
    parser.add_argument("--base", required=True, help="checkpoint folder or hub name")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file of examples")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--template", default="plain")
    parser.add_argument("--seed", type=int, default=0)
    for name, field in TrainingSettings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(field.default), default=field.default)
    args = vars(parser.parse_args())
    settings = TrainingSettings(**{name: args[name] for name in TrainingSettings.model_fields})
    report = TRAINERS[args["trainer"]](
        args["base"],
        pl.read_parquet(args["data"]),
        args["out"],
        settings,
        template=args["template"],
        seed=args["seed"],
    )
    print(
        f"{report.num_steps} steps on {report.num_examples:,} examples ({report.num_cut} cut) in "
        f"{report.seconds:.0f} s; loss {report.losses[0]:.3f} -> {report.losses[-1]:.3f}; "
        f"saved to {args['out']}"
    )


if __name__ == "__main__":
    main()
