"""Estimate what a profile's run needs: requests, tokens, hours, and GPU memory of its models."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from assets.deployment import models_of
from cli.cluster_estimate import cluster_of, print_cluster
from cli.gpu_memory import published_models, table_of, uses_of
from cli.policy_estimate import print_policies
from cli.problem_sizes import problem_sizes
from cli.tables import plain_tables
from resources.profiles import load_settings
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.estimates import (
    MEASURED_PARAMETERS,
    MEASURED_SPEED,
    Estimate,
    assumed_speed,
    estimate_critiques,
    estimate_dataset,
    extrapolate,
    with_templates,
)
from shepherd.schemas import CANDIDATE_COSTS, CRITIQUE_COSTS, ROLLOUT_COSTS, SOLUTION_COSTS
from shepherd.settings import GpuSettings, ModelSettings, Settings

COSTS = {
    "solutions": SOLUTION_COSTS,
    "rollouts": ROLLOUT_COSTS,
    "critiques": CRITIQUE_COSTS,
    "candidates": CANDIDATE_COSTS,
}
"""The table of each sampling stage's costs."""


def print_estimate(profile: str, home: Home, tokens_per_second: float | None) -> None:
    """Print the estimate of each stage, and of each model's memory if the profile names GPUs.

    Raises:
        ValueError: the profile or a file that it names is wrong.
    """
    settings = load_settings(profile)
    store = ModelStore(home.models, home.files)
    if settings.gpus:
        print_memory(settings, settings.gpus, store)
    estimates = list(estimate_run(settings, Lake(home.lake, home.files)))
    if settings.gpus:
        estimates = [with_assumed_speed(estimate, settings, store) for estimate in estimates]
    print_stages(estimates, tokens_per_second)
    if settings.gpus and not tokens_per_second and estimates:
        print(
            f"\nHours of stages without a measured speed: {MEASURED_SPEED:,} tokens/s on a GPU for "
            f"{MEASURED_PARAMETERS / 1e9:.1f} billion parameters (one H100, docs/engines.md), less "
            "in proportion for more. --tokens-per-second gives your own speed."
        )
    if settings.annotation.language_model:
        print("\nNot estimated: what the language model of nli answers, some tokens a question.")
    if settings.policies:
        print_policies(settings, store, tokens_per_second)


def print_cluster_estimate(
    profile: str,
    home: Home,
    machines: int,
    gpus_per_replica: int | None,
    tokens_per_second: float | None,
) -> None:
    """Print the GPU hours of each sampling stage on several machines.

    Raises:
        ValueError: the profile or a file that it names is wrong, or does not say what machines
            there are.
    """
    settings = load_settings(profile)
    store = ModelStore(home.models, home.files)
    cluster = cluster_of(settings, store, machines, gpus_per_replica, tokens_per_second)
    estimates = list(estimate_run(settings, Lake(home.lake, home.files)))
    if not estimates:
        raise ValueError(f"--machines: nothing is sampled in profile {profile}: leave it out")
    print_cluster(settings, estimates, cluster)


def estimate_run(settings: Settings, lake: Lake) -> Iterator[Estimate]:
    """Yield the estimate of each sampling stage of each dataset.

    A dataset that is not annotated has only candidates, and only if another dataset is annotated.
    Greedy solutions and samples that policies learn from are left out.
    """
    if not any(dataset.is_annotated for dataset in settings.datasets.values()):
        return
    rolls_out = settings.annotation.max_rollouts > 0
    for name, dataset in settings.datasets.items():
        if not dataset.is_annotated and not dataset.has_test:
            continue
        for estimate in _estimates_of(settings, name):
            if estimate.stage == "rollouts" and not rolls_out:
                continue
            if estimate.stage == "candidates" and not (settings.verifies and dataset.has_test):
                continue
            if estimate.stage == "solutions" and dataset.solutions is not None:
                continue
            table = COSTS[estimate.stage]
            costs = lake.read(table) if lake.partitions(table) else table.empty()
            yield extrapolate(name, estimate.stage, costs, settings.shards) or estimate


def _estimates_of(settings: Settings, name: str) -> list[Estimate]:
    """Return the estimates of a dataset's stages from the lengths of its texts."""
    dataset, judge = settings.datasets[name], settings.annotation.judge
    sizes = problem_sizes(settings, name)
    estimates = estimate_dataset(
        name,
        sizes["train"],
        sizes["test"],
        len(settings.generators_of("train")),
        len(settings.candidate_generators),
        settings.sampling,
        settings.annotation.max_rollouts,
    )
    if judge is not None:
        estimates.insert(2, estimate_critiques(name, estimates[0], judge))
    if not dataset.is_annotated:
        estimates = [estimate for estimate in estimates[-1:] if estimate.requests]
    return [with_templates(each, _templates_of(settings, each.stage)) for each in estimates]


def _templates_of(settings: Settings, stage: str) -> list[str]:
    """Return the templates of the models that write the completions of a stage."""
    judge = settings.annotation.judge
    if stage == "critiques":
        assert judge is not None, "its critiques are estimated"
        return [judge.template]
    return [model.template for model in models_of_stage(settings, stage)]


def models_of_stage(settings: Settings, stage: str) -> list[ModelSettings]:
    """Return the models that draw the completions of a stage; policies are left out."""
    models = models_of(settings)
    names = {
        "solutions": settings.generators_of("train"),
        "rollouts": ["completer"],
        "candidates": settings.candidate_generators,
    }[stage]
    return [models[name] for name in names if name in models]


def with_assumed_speed(estimate: Estimate, settings: Settings, store: ModelStore) -> Estimate:
    """Return an estimate with the speed that its models are assumed to have on the GPUs.

    A measured speed stays, and an architecture that is not known here gives none.
    """
    if estimate.tokens_per_second or estimate.stage == "critiques":
        return estimate
    models = models_of_stage(settings, estimate.stage)
    bases = (architecture_of(store.resolve(model.base)) for model in models)
    is_split = settings.engine.kind == "vllm"
    gpus = [
        settings.engine.placed(model.vllm).vllm.num_gpus_of_all if is_split else 1
        for model in models
    ]
    sizes = [
        base.num_parameters / count if base else None
        for base, count in zip(bases, gpus, strict=True)
    ]
    known = [size for size in sizes if size is not None]
    speed = assumed_speed(known) if len(known) == len(sizes) else None
    return replace(estimate, tokens_per_second=speed)


def print_memory(settings: Settings, gpus: GpuSettings, store: ModelStore) -> None:
    """Print the memory that each model needs on each GPU; unknown architectures are left out."""
    print(f"GiB per GPU on {gpus.count} x {gpus.name} ({gpus.memory_gib:.0f} GiB), by formula:")
    with plain_tables():
        print(table_of(list(uses_of(settings, store))), end="\n\n")


def print_published_models() -> None:
    """Print the GiB per GPU that each of the paper's models needs, by use and number of GPUs."""
    with plain_tables():
        print(published_models())


def print_stages(estimates: list[Estimate], tokens_per_second: float | None) -> None:
    """Print requests, millions of tokens and hours by dataset and stage."""
    if not estimates:
        print("Nothing is sampled in this profile: its datasets import their solutions.")
        return
    speed = pl.lit(tokens_per_second) if tokens_per_second else pl.col("tokens_per_second")
    table = pl.DataFrame([vars(estimate) for estimate in estimates]).select(
        "dataset",
        "stage",
        requests=pl.col("requests").round().cast(pl.Int64),
        million_tokens_in=(pl.col("prompt_tokens") / 1e6).round(2),
        million_tokens_out=(pl.col("completion_tokens") / 1e6).round(2),
        hours=(pl.col("completion_tokens") / speed.cast(pl.Float64) / 3600).round(2),
        basis="basis",
    )
    with plain_tables():
        print(table)
    if table["hours"].null_count():
        print("\nHours need a speed: give --tokens-per-second, or finish one shard of each stage.")
