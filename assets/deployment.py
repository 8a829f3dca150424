"""What this deployment is: its profile, its partitions, and where it keeps things."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from resources.profiles import settings_from_env
from resources.sampling.earlier import origin_of
from resources.storage.home import Home
from resources.storage.io_manager import Partition
from resources.storage.journal import fingerprints
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from shepherd.identity import content_id, shard_keys
from shepherd.settings import EngineSettings, JudgeSettings, ModelSettings, Section, Settings

SETTINGS = settings_from_env()

PARTITIONS = dg.MultiPartitionsDefinition(
    {
        "dataset": dg.StaticPartitionsDefinition(sorted(SETTINGS.datasets)),
        "shard": dg.StaticPartitionsDefinition(shard_keys(SETTINGS.shards)),
    }
)

ONE_RUN_PER_SHARD = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
"""For sampling stages: each shard is minutes of work and retries alone."""

ONE_RUN = dg.BackfillPolicy.single_run()
"""For cheap stages, where starting a run costs more than the work."""

ALL_PARTITIONS = dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
"""For what reads every dataset and shard at once."""


@dataclass(frozen=True)
class Deployment:
    """The profile and the home folder, as the resource that asset bodies are given."""

    settings: Settings
    home: Home

    @property
    def lake(self) -> Lake:
        """The Parquet files."""
        return Lake(self.home.lake)

    @property
    def models(self) -> ModelStore:
        """The checkpoints that the profile trains."""
        return ModelStore(self.home.models)

    def journals(self, stage: str, partition: Partition) -> Path:
        """Return the folder of a sampling stage's journals for one partition, one per model."""
        return self.home.journals / stage / partition.dataset / partition.shard

    def origin(self, stage: str, partition: Partition) -> dict[str, str]:
        """Return what the file of a sampled partition keeps of how it was drawn."""
        splitting = self.settings.datasets[partition.dataset].splitting
        drawn_by = fingerprints(self.journals(stage, partition))
        return origin_of(drawn_by, splitting.calculations)

    def discard_journals(self, stage: str, partition: Partition) -> None:
        """Remove the journals of a partition, once its output is written."""
        shutil.rmtree(self.journals(stage, partition), ignore_errors=True)

    def model(self, name: str) -> ModelSettings:
        """Return the settings of a model asset, by its name; those of a policy are its start's."""
        policy = self.settings.policies.get(name)
        return models_of(self.settings)[policy.start if policy else name]

    def checkpoint(self, name: str) -> str | Path:
        """Return where a model's weights lie: in the store if it is trained, else at its base.

        Raises:
            ValueError: the store lacks it; the message names the asset to materialize.
        """
        is_trained = self.model(name).training or name in self.settings.policies
        return self.models.path(name) if is_trained else self.base(name)

    def base(self, name: str) -> str | Path:
        """Return where the weights lie that a model starts from, or under what name it is served.

        Raises:
            ValueError: there is no such base.
        """
        settings = self.model(name)
        is_sampled = name == "completer" or name in self.settings.generators
        is_served = is_sampled and not settings.training and self.settings.engine.kind == "openai"
        return self.models.resolve(settings.base, is_served=is_served)

    def judge_engine(self, judge: JudgeSettings) -> EngineSettings:
        """Return the engine that a judge is asked on: its own, or else the profile's."""
        return judge.engine or self.settings.engine

    def judge_base(self, judge: JudgeSettings) -> str | Path:
        """Return where a judge's weights lie, or under what name it is served.

        Raises:
            ValueError: there is no such base.
        """
        is_served = self.judge_engine(judge).kind == "openai"
        return self.models.resolve(judge.base, is_served=is_served)


DeploymentResource = dg.ResourceParam[Deployment]


def models_of(settings: Settings) -> dict[str, ModelSettings]:
    """Return the settings of each model that a profile names, by asset name."""
    named = {
        **settings.generators,
        "completer": settings.completer,
        "outcome_reward_model": settings.outcome_reward_model,
        "process_reward_model": settings.process_reward_model,
    }
    return {name: model for name, model in named.items() if model is not None}


def version_of(*parts: Section | float | str | None) -> str:
    """Return a code version that changes with the settings an asset's content depends on.

    The UI then marks what an edited profile has made stale.
    """
    texts = (part.essence if isinstance(part, Section) else str(part) for part in parts)
    return content_id(*texts)[:8]
