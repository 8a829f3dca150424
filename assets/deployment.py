"""Describe a deployment: its settings, its home folder and its partitions."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from resources.sampling.earlier import origin_of
from resources.storage.home import Home
from resources.storage.io_manager import Partition
from resources.storage.journal import fingerprints
from resources.storage.lake import Lake
from resources.storage.locks import file_lock
from resources.storage.model_store import ModelStore
from shepherd.annotators.entailment import EntailmentSettings
from shepherd.identity import shard_keys
from shepherd.settings import EngineSettings, JudgeSettings, ModelSettings, Settings

ONE_RUN_PER_SHARD = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
"""For sampling stages: each shard takes minutes and is retried alone."""

ONE_RUN = dg.BackfillPolicy.single_run()
"""For cheap stages, where the start of a run costs more than its work."""

ALL_PARTITIONS = dg.AllPartitionMapping()
"""For assets that read every dataset and shard at once."""

WHOLE_TABLE = dg.AssetIn(partition_mapping=ALL_PARTITIONS)
"""An input of all partitions of a table."""

WHOLE_DATASET = dg.MultiPartitionMapping(
    {
        "dataset": dg.DimensionPartitionMapping("dataset", dg.IdentityPartitionMapping()),
        "shard": dg.DimensionPartitionMapping("shard", dg.AllPartitionMapping()),
    }
)
"""For assets whose partition reads all shards of its dataset."""


def policy_of_cheap_stages(settings: Settings) -> dg.BackfillPolicy:
    """Return the backfill policy of cheap stages that read nothing but their own shard."""
    return ONE_RUN_PER_SHARD if settings.runs.whole_shards else ONE_RUN


def partitions_of(settings: Settings) -> dg.MultiPartitionsDefinition:
    """Return the partitions of all datasets: one for each dataset and shard."""
    return dg.MultiPartitionsDefinition(
        {
            "dataset": dg.StaticPartitionsDefinition(sorted(settings.datasets)),
            "shard": dg.StaticPartitionsDefinition(shard_keys(settings.shards)),
        }
    )


@dataclass(frozen=True)
class Deployment:
    """Settings and a home folder. Dagster passes this resource to the functions of assets."""

    settings: Settings
    home: Home
    profile: str = ""
    """The name of the profile, for the title of the report."""

    @property
    def lake(self) -> Lake:
        """The Parquet files."""
        return Lake(self.home.lake, self.home.files)

    @property
    def models(self) -> ModelStore:
        """The checkpoints that are trained here."""
        return ModelStore(self.home.models, self.home.files)

    def journals(self, stage: str, partition: Partition) -> Path:
        """Return the folder of a sampling stage's journals for a partition, one file a model."""
        return self.home.journals / stage / partition.dataset / partition.shard

    @contextmanager
    def drawing(self, tables: Sequence[str], partition: Partition) -> Iterator[None]:
        """Let no other run draw the last of these tables, in a partition, until all are written.

        In a home in a store, a run waits for one on another machine.

        Raises:
            ValueError: another run of this machine draws there: wait until it ends, or end it.
        """
        stage, files = tables[-1], self.home.files
        work = f"draws {stage} of {partition.key}"
        refusal = f"another run {work}: wait until it ends, or end it"
        paths = [self.lake.path(table, *partition) for table in tables]
        # The lock is beside the journals, which are removed alone.
        lock = self.journals(stage, partition).with_suffix(".lock")
        with (
            file_lock(lock, refusal=refusal),
            files.holding("/".join((stage, *partition)), paths, work),
        ):
            yield

    def origin(self, stage: str, partition: Partition) -> dict[str, str]:
        """Return what the footer of a partition's file records of its draws."""
        splitting = self.settings.datasets[partition.dataset].splitting
        drawn_by = fingerprints(self.journals(stage, partition))
        return origin_of(drawn_by, splitting.calculations)

    def discard_journals(self, stage: str, partition: Partition) -> None:
        """Remove the journals of a partition. Call it after the partition is written."""
        folder = self.journals(stage, partition)
        self.home.files.discard_segments(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def model(self, name: str) -> ModelSettings:
        """Return the settings of a model asset. A policy has those of the model it starts from."""
        policy = self.settings.policies.get(name)
        return models_of(self.settings)[policy.start if policy else name]

    def checkpoint(self, name: str) -> str | Path:
        """Return the weights of a model: a checkpoint of the store, or the base if untrained.

        Raises:
            ValueError: the model is not trained yet; the message names the asset to materialize.
        """
        is_trained = self.model(name).training or name in self.settings.policies
        return self.models.path(name) if is_trained else self.base(name)

    def base(self, name: str) -> str | Path:
        """Return the weights that a model starts from, or the name under which it is served.

        Raises:
            ValueError: there is no such base; correct `base` in the profile.
        """
        settings = self.model(name)
        is_sampled = name == "completer" or name in self.settings.generators
        is_served = is_sampled and not settings.training and self.settings.engine.kind == "openai"
        return self.models.resolve(settings.base, is_served=is_served)

    def judge_engine(self, judge: JudgeSettings | EntailmentSettings) -> EngineSettings:
        """Return the engine of a judge or of nli's model: its own, or the profile's."""
        return judge.engine or self.settings.engine

    def judge_base(self, judge: JudgeSettings | EntailmentSettings) -> str | Path:
        """Return the weights of a judge or of nli's model, or the name under which it is served.

        Raises:
            ValueError: there is no such base: correct it in `annotation.annotators`.
        """
        is_served = self.judge_engine(judge).kind == "openai"
        return self.models.resolve(judge.base, is_served=is_served)


DeploymentResource = dg.ResourceParam[Deployment]


def models_of(settings: Settings) -> dict[str, ModelSettings]:
    """Return the settings of every model of a profile, by asset name. Policies are not included."""
    models = {
        **settings.generators,
        "completer": settings.completer,
        "outcome_reward_model": settings.outcome_reward_model,
        "process_reward_model": settings.process_reward_model,
    }
    return {name: model for name, model in models.items() if model is not None}
