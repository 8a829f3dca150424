"""Say what a profile's run will take, before it starts.

    python -m cli.estimate --profile gsm8k [--tokens-per-second 20000]

First, where the profile names its GPUs, what each model takes on them, from its dimensions.
A stage that has finished shards in the lake is extrapolated from what those took; the others are
estimated by the lengths of questions and gold solutions.
"""

import argparse
import sys
from collections.abc import Iterator

import polars as pl

from cli.console import plain_tables
from cli.gpu_memory import frame_of, uses_of
from resources.files.problems import load_problems_of
from resources.profiles import load_settings, settings_from_env
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from shepherd.estimates import Estimate, estimate_critiques, estimate_dataset, extrapolate
from shepherd.schemas import CANDIDATE_COSTS, CRITIQUE_COSTS, ROLLOUT_COSTS, SOLUTION_COSTS
from shepherd.settings import GpuSettings, Settings

COSTS = {
    "solutions": SOLUTION_COSTS,
    "rollouts": ROLLOUT_COSTS,
    "critiques": CRITIQUE_COSTS,
    "candidates": CANDIDATE_COSTS,
}


def main() -> int:
    """Print the table; return 2 if the profile or its files are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m cli.estimate", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--profile", help="name in profiles/ or path of a .yaml (default: demo)")
    parser.add_argument(
        "--tokens-per-second", type=float, help="of all engines together; else as measured"
    )
    arguments = parser.parse_args()
    try:
        settings = load_settings(arguments.profile) if arguments.profile else settings_from_env()
        home = Home.from_env()
        if settings.gpus:
            show_memory(settings, settings.gpus, ModelStore(home.models))
        show(list(estimate_run(settings, Lake(home.lake))), arguments.tokens_per_second)
        if settings.policies:
            print("\nNot estimated: what policies draw to learn from, and greedy solutions.")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def estimate_run(settings: Settings, lake: Lake) -> Iterator[Estimate]:
    """Yield the estimate of each sampling stage of each dataset.

    Datasets that are not annotated here have candidates alone, where another one is. Greedy
    solutions, and what policies draw to learn from, are left out.
    """
    if not any(dataset.is_annotated for dataset in settings.datasets.values()):
        return
    rolls_out = settings.annotation.max_rollouts > 0
    for name, dataset in settings.datasets.items():
        if not dataset.is_annotated and (dataset.num_test == 0 or dataset.source == "metamath"):
            continue
        problems, _ = load_problems_of(settings, name)
        guesses = estimate_dataset(
            name,
            problems,
            len(settings.generators_of("train")),
            len(settings.candidate_generators),
            settings.sampling,
            settings.annotation.max_rollouts,
            dataset.splitting.method,
        )
        judge = settings.annotation.judge
        if not dataset.is_annotated:
            guesses = [guess for guess in guesses[-1:] if guess.requests]
        elif judge is not None:
            guesses.insert(2, estimate_critiques(name, guesses[0], judge))
        for guess in guesses:
            if guess.stage == "rollouts" and not rolls_out:
                continue
            if guess.stage == "solutions" and dataset.solutions is not None:
                continue
            table = COSTS[guess.stage]
            costs = lake.read(table) if lake.partitions(table) else table.empty()
            yield extrapolate(name, guess.stage, costs, settings.shards) or guess


def show_memory(settings: Settings, gpus: GpuSettings, store: ModelStore) -> None:
    """Print what each model takes on each GPU; models of unknown dimensions are left out."""
    print(f"GiB on each of {gpus.count} x {gpus.name} ({gpus.memory_gib:.0f} GiB), by formula:")
    with plain_tables(fmt_str_lengths=60):
        print(frame_of(list(uses_of(settings, store))), end="\n\n")


def show(estimates: list[Estimate], tokens_per_second: float | None) -> None:
    """Print requests, tokens in millions and hours by dataset and stage."""
    if not estimates:
        print("Nothing is sampled in this profile: its datasets import their solutions.")
        return
    table = pl.DataFrame([vars(estimate) for estimate in estimates]).with_columns(
        tokens_per_second=pl.lit(tokens_per_second, pl.Float64)
        if tokens_per_second
        else pl.col("tokens_per_second")
    )
    shown = table.select(
        "dataset",
        "stage",
        requests=pl.col("requests").round().cast(pl.Int64),
        million_tokens_in=(pl.col("prompt_tokens") / 1e6).round(2),
        million_tokens_out=(pl.col("completion_tokens") / 1e6).round(2),
        hours=(pl.col("completion_tokens") / pl.col("tokens_per_second") / 3600).round(2),
        basis="basis",
    )
    with plain_tables(fmt_str_lengths=60):
        print(shown)
    if shown["hours"].null_count():
        print("\nHours need a speed: give --tokens-per-second, or finish one shard of each stage.")


if __name__ == "__main__":
    sys.exit(main())
