"""Describe a sampling stage: one model draws completions for one table, in one shard."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from resources.engines import open_engine
from resources.engines.checkpoints import load_template
from resources.engines.kept import Weights, kept_engine
from resources.sampling.completion_grading import grade_completions
from resources.sampling.cost import Cost
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList, RequestSource
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.journal import SUFFIX
from resources.storage.weights import weights_identity
from shepherd.dependencies import Fingerprint, draw_fingerprint, engine_fingerprint
from shepherd.prompts import user_turn
from shepherd.requests import REQUESTS, Engine
from shepherd.schemas import ROLLOUT_COSTS, Table
from shepherd.settings import (
    DEFAULT_SPLITTING,
    EngineSettings,
    ModelSettings,
    SplittingSettings,
)
from shepherd.splitting import REASONING
from shepherd.thoughts import opening_of


@dataclass(frozen=True)
class CompletionModel:
    """A model that completes prompts."""

    name: str
    """The name of the generator, policy, completer or judge."""

    template: str
    """The text of the prompt template."""

    fingerprint: Fingerprint
    """What the model's completions depend on besides the request: weights, engine, precision."""

    open_engine: Callable[[], Engine]
    """Loads the weights, or connects to the servers."""

    stop: tuple[str, ...] = ()
    """The strings that end the model's completions."""


def completion_model_of(
    name: str,
    model: ModelSettings,
    checkpoint: str | Path,
    engine: EngineSettings,
    *,
    log: Path | None = None,
) -> CompletionModel:
    """Return the model of a checkpoint folder or hub name, on an engine.

    An engine with weights in this process stays open for the next stage that draws from them.
    What the engine's libraries print goes to the file ``log``, if it is given.

    Raises:
        ValueError: the template is ``chat``, and the model's tokenizer has no chat template: give
            another template.
    """
    engine = engine.placed(model.vllm)
    fingerprint = engine_fingerprint(engine, weights_identity(checkpoint))

    def open_anew() -> Engine:
        return open_engine(engine, checkpoint, log=log)

    def open_or_keep() -> Engine:
        return kept_engine(Weights(engine, str(checkpoint), fingerprint), open_anew)

    return CompletionModel(
        name,
        user_turn(model.template)
        if engine.speaks_chat
        else load_template(model.template, checkpoint),
        fingerprint,
        # Connecting to servers takes no time.
        open_anew if engine.kind == "openai" else open_or_keep,
        model.stop,
    )


@dataclass(frozen=True)
class Shard:
    """A shard of a dataset, with what its sampling stages share."""

    dataset: str
    key: str
    journals: Path
    """The folder of all journals; one journal is ``<table>/<dataset>/<key>/<model>.journal``."""

    run_seed: int
    splitting: SplittingSettings = DEFAULT_SPLITTING
    """How texts are split into steps, and whether calculations are removed from them. Journals
    hold the texts as drawn."""

    files: HomeFiles = LOCAL
    """How the files of the home are written: those of one in a store are sent there."""


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
    top_p: float = 1.0

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stage's completions depend on besides the ids and prompts of its requests."""
        return draw_fingerprint(
            self.model.fingerprint,
            template=self.model.template,
            run_seed=self.shard.run_seed,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            stop=self.model.stop,
            top_p=self.top_p,
        )

    @property
    def journal(self) -> Path:
        """The file of finished completions, from which a killed run resumes."""
        folder = self.shard.journals / self.table.name / self.shard.dataset / self.shard.key
        return folder / f"{self.model.name}{SUFFIX}"

    def with_endings(self, requests: pl.DataFrame) -> pl.DataFrame:
        """Return requests with the stop strings of the stage's model and the stage's ``top_p``."""
        return requests.with_columns(
            stop=pl.lit(list(self.model.stop), REQUESTS["stop"]), top_p=pl.lit(self.top_p)
        )

    def draw(self, source: RequestSource, earlier: pl.DataFrame | None = None) -> Cost:
        """Draw the requests of the source through the journal, and return the cost.

        ``earlier`` are ``COMPLETIONS`` of the stage's fingerprint, which are not drawn again.
        """
        description = f"{self.table.name} {self.shard.dataset} {self.shard.key} {self.model.name}"
        return draw_completions(
            self.model.open_engine,
            source,
            self.journal,
            fingerprint=self.fingerprint,
            description=description,
            earlier=earlier,
            files=self.shard.files,
        )

    def graded_rows(
        self,
        requests: RequestList,
        collect: Callable[[pl.DataFrame, str], pl.DataFrame],
        problems: pl.DataFrame,
        begins_in_thought: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """Return the rows of the table, graded, once all ``requests`` are finished.

        ``collect`` takes the results of the requests and the model's name, and returns the rows
        without the columns of grading. ``problems`` gives the gold answers, ``begins_in_thought``
        the rows whose prompt opens a thought.
        """
        results = without_calculations(requests.results(), self.shard.splitting)
        rows = collect(results, self.model.name)
        graded = grade_completions(rows, problems, begins_in_thought)
        return graded.select(self.table.schema.keys())

    def with_opening(self, completions: pl.DataFrame) -> pl.DataFrame:
        """Return whole answers with the tag of the thought that the template opens.

        So their texts hold whole thoughts, and a prefix of one opens it.
        """
        is_reasoning = self.shard.splitting.method == REASONING
        opening = opening_of(self.model.template) if is_reasoning else ""
        if not opening:
            return completions
        is_drawn = pl.col("finish_reason") != "error"
        opened = pl.when(is_drawn).then(opening + pl.col("text")).otherwise("text")
        return completions.with_columns(text=opened)

    def output(
        self, rows: pl.DataFrame, cost: Cost, *, num_merged: int = 0, num_spared: int = 0
    ) -> StageOutput:
        """Return rows with their row of the cost table; all cost tables have equal columns.

        ``num_merged`` is the number of completions saved because identical prefixes are rolled
        out once, ``num_spared`` that saved compared with N rollouts of each prefix.
        """
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


def without_calculations(completions: pl.DataFrame, splitting: SplittingSettings) -> pl.DataFrame:
    """Remove annotations such as ``<<48/2=24>>`` from texts, unless ``splitting`` keeps them."""
    if splitting.calculations == "keep":
        return completions
    return completions.with_columns(pl.col("text").map_elements(splitting.clean, pl.String))
