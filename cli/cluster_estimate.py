"""Estimate the GPU hours, replicas and shards of a profile on several machines with GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from assets.deployment import models_of
from cli.tables import plain_tables
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.estimates import Estimate
from shepherd.memory import GIB, can_split, inference_memory
from shepherd.settings import Settings

REQUESTS_AT_ONCE = 32
"""Requests of the longest length that a replica must have room for, so that its batches pay."""

MINUTES_OF_SHARD = 20
"""A worker starts in seconds and a lost shard is drawn again from its journal: 10 to 30 suit."""


@dataclass(frozen=True)
class Cluster:
    """The GPUs that serve the models of a profile."""

    machines: int
    gpus_per_machine: int
    gpus_per_replica: int
    tokens_per_second: float
    """Completion tokens of one replica."""

    @property
    def replicas(self) -> int:
        """The copies of a model that the machines hold; a replica never spans two machines."""
        return self.machines * (self.gpus_per_machine // self.gpus_per_replica)


def cluster_of(
    settings: Settings,
    store: ModelStore,
    machines: int,
    gpus_per_replica: int | None,
    tokens_per_second: float | None,
) -> Cluster:
    """Return the cluster of ``machines`` machines like the one that the profile names.

    Raises:
        ValueError: the speed of a replica or the machine is not named, no number of its GPUs
            holds the models, or their architecture is not known.
    """
    if tokens_per_second is None:
        raise ValueError(
            "--machines: give --tokens-per-second of one replica: vLLM logs it as generation "
            "throughput, and `python -m benchmarks.gpu` measures it"
        )
    if settings.gpus is None:
        raise ValueError("--machines: name the GPUs of one machine in `gpus` of the profile")
    share = gpus_per_replica or _gpus_needed(settings, store)
    if share > settings.gpus.count:
        raise ValueError(
            f"--gpus-per-replica {share}: a machine has {settings.gpus.count} (`gpus.count` of the "
            "profile): name fewer"
        )
    return Cluster(machines, settings.gpus.count, share, tokens_per_second)


def print_cluster(settings: Settings, estimates: Sequence[Estimate], cluster: Cluster) -> None:
    """Print GPU hours and hours of each dataset and stage, and how long a shard takes."""
    table = hours(estimates, cluster)
    used = cluster.replicas * cluster.gpus_per_replica
    print(
        f"{cluster.machines} machines x {cluster.gpus_per_machine} GPUs: {cluster.replicas} "
        f"replicas of {cluster.gpus_per_replica} GPUs, {cluster.tokens_per_second:,.0f} tokens/s "
        f"each ({used} GPUs used)\n"
    )
    with plain_tables():
        print(table)
    total = table.select("gpu_hours", "hours").sum().row(0)
    print(f"\nAltogether {total[0]:,.1f} GPU hours, {total[1]:,.2f} hours")
    workers = settings.runs.pool_limits.get(settings.runs.sampling_pool, 1)
    for (dataset,), rows in table.group_by("dataset", maintain_order=True):
        minutes = 60 * float(rows["hours"].sum()) * workers / settings.shards
        shards = max(1, round(settings.shards * minutes / MINUTES_OF_SHARD))
        print(
            f"{dataset}: a shard takes {minutes:,.0f} minutes with {settings.shards} shards and "
            f"{workers} workers; {shards:,} shards would take {MINUTES_OF_SHARD} minutes each"
        )


def hours(estimates: Sequence[Estimate], cluster: Cluster) -> pl.DataFrame:
    """Return the GPU hours of each dataset and stage, and the hours that all replicas take."""
    rows = pl.DataFrame([vars(estimate) for estimate in estimates])
    replica_hours = pl.col("completion_tokens") / cluster.tokens_per_second / 3600
    return rows.select(
        "dataset",
        "stage",
        million_tokens_out=(pl.col("completion_tokens") / 1e6).round(2),
        gpu_hours=(replica_hours * cluster.gpus_per_replica).round(2),
        hours=(replica_hours / cluster.replicas).round(3),
    )


def _gpus_needed(settings: Settings, store: ModelStore) -> int:
    """Return the fewest GPUs of a machine that serve the largest sampled model with room.

    Raises:
        ValueError: no number of GPUs does, or no architecture is known.
    """
    assert settings.gpus is not None, "the caller has checked it"
    served = {
        name: model.base
        for name, model in models_of(settings).items()
        if name == "completer" or name in settings.generators
    }
    # A name that only servers know is not looked for.
    known = [architecture_of(store.resolve(base, is_served=True)) for base in served.values()]
    architectures = [each for each in known if each is not None]
    if not architectures:
        names = ", ".join(sorted(set(served.values())))
        raise ValueError(
            f"--machines: the architecture of {names} is not known here: give --gpus-per-replica"
        )
    largest = max(architectures, key=lambda each: each.num_parameters)
    longest = settings.engine.vllm.max_model_len or 2 * settings.sampling.max_tokens
    for count in range(1, settings.gpus.count + 1):
        memory = inference_memory(largest, count) if can_split(largest, count) else None
        utilization = settings.engine.vllm.gpu_memory_utilization
        room = memory.tokens_in(settings.gpus.memory_gib * GIB, utilization) if memory else 0
        if room >= REQUESTS_AT_ONCE * longest:
            return count
    raise ValueError(
        f"--machines: {settings.gpus.count} GPUs of {settings.gpus.memory_gib:.0f} GiB have no "
        f"room for the largest model and {REQUESTS_AT_ONCE} requests of {longest:,} tokens: name "
        "larger ones in `gpus`, or give --gpus-per-replica"
    )
