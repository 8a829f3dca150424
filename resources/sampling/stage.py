"""Describe a sampling stage: one model draws completions for one table, in one shard."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from resources.engines import open_engine
from resources.engines.checkpoints import load_template
from resources.sampling.completion_grading import grade_completions
from resources.sampling.cost import Cost
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList, RequestSource
from resources.storage.journal import SUFFIX
from resources.storage.weights import weights_identity
from shepherd.dependencies import Fingerprint, draw_fingerprint, engine_fingerprint
from shepherd.requests import Engine
from shepherd.schemas import ROLLOUT_COSTS, Table
from shepherd.settings import (
    DEFAULT_SPLITTING,
    EngineSettings,
    ModelSettings,
    SplittingSettings,
)


@dataclass(frozen=True)
class CompletionModel:
    """A model that completes prompts."""

    name: str
    """The name of the generator, policy, completer or judge."""

    template: str
    """The text of the prompt template."""

    fingerprint: Fingerprint
    """What the model's completions depend on beside requests: weights, engine, precision."""

    open_engine: Callable[[], Engine]
    """Loads the weights."""


def completion_model_of(
    name: str, model: ModelSettings, checkpoint: str | Path, engine: EngineSettings
) -> CompletionModel:
    """Return the model of a checkpoint folder or hub name, on an engine.

    Raises:
        ValueError: the template is the model's own chat template, and there is none.
    """
    return CompletionModel(
        name,
        load_template(model.template, checkpoint),
        engine_fingerprint(engine, weights_identity(checkpoint)),
        lambda: open_engine(engine, checkpoint),
    )


@dataclass(frozen=True)
class Shard:
    """A shard of a dataset that is sampled."""

    dataset: str
    key: str
    journals: Path
    """The folder of the journals: a journal is ``<stage>/<dataset>/<key>/<model>.journal``."""

    run_seed: int
    splitting: SplittingSettings = DEFAULT_SPLITTING
    """What is stripped from texts after they are drawn. Journals hold texts as they were drawn."""


@dataclass(frozen=True)
class StageOutput:
    """Graded rows of a table, and one row of its cost table."""

    frame: pl.DataFrame
    cost: pl.DataFrame


@dataclass(frozen=True)
class Stage:
    """One model's draws for one table in one shard."""

    table: Table
    model: CompletionModel
    shard: Shard
    temperature: float
    max_tokens: int

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stage's completions depend on beside the ids and prompts of its requests."""
        return draw_fingerprint(
            self.model.fingerprint,
            template=self.model.template,
            run_seed=self.shard.run_seed,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )

    @property
    def journal(self) -> Path:
        """The file of finished completions, from which a killed run resumes."""
        folder = self.shard.journals / self.table.name / self.shard.dataset / self.shard.key
        return folder / f"{self.model.name}{SUFFIX}"

    def draw(self, source: RequestSource, earlier: pl.DataFrame | None = None) -> Cost:
        """Draw what the source asks for; ``earlier`` completions are not drawn again."""
        place = f"{self.table.name} {self.shard.dataset} {self.shard.key} {self.model.name}"
        return draw_completions(
            self.model.open_engine,
            source,
            self.journal,
            fingerprint=self.fingerprint,
            description=place,
            earlier=earlier,
        )

    def graded(
        self,
        requests: RequestList,
        collect: Callable[[pl.DataFrame, str], pl.DataFrame],
        problems: pl.DataFrame,
    ) -> pl.DataFrame:
        """Return finished requests as graded rows of the table.

        ``collect`` makes ungraded rows from results and the model's name.
        """
        rows = collect(stripped(requests.results(), self.shard.splitting), self.model.name)
        return grade_completions(rows, problems).select(self.table.schema.keys())

    def output(
        self, rows: pl.DataFrame, cost: Cost, *, num_merged: int = 0, num_spared: int = 0
    ) -> StageOutput:
        """Return rows with their row of the cost table; all cost tables have equal columns."""
        cost_row = {
            "stage": self.table.name,
            "dataset": self.shard.dataset,
            "shard": self.shard.key,
            "model": self.model.name,
            "num_merged": num_merged,
            "num_spared": num_spared,
            **asdict(cost),
        }
        return StageOutput(rows, pl.DataFrame([cost_row], schema=ROLLOUT_COSTS.schema))


def stripped(completions: pl.DataFrame, splitting: SplittingSettings) -> pl.DataFrame:
    """Return completions without what ``splitting`` strips from their texts."""
    if splitting.calculations == "keep":
        return completions
    return completions.with_columns(pl.col("text").map_elements(splitting.clean, pl.String))
