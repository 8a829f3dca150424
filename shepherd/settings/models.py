"""Settings of a model: generator, completer or reward model."""

from pydantic import Field

from shepherd.engine_settings import Checkpoint
from shepherd.prompts import PromptTemplate
from shepherd.section import Section
from shepherd.settings.datasets import SPLITS, Split
from shepherd.settings.scoring import ScoringSettings
from shepherd.settings.training import TrainingSettings


class ModelSettings(Section):
    """A model: the weights that it starts from, and how it is trained from there."""

    base: Checkpoint
    template: PromptTemplate = "plain"
    datasets: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="datasets whose gold solutions fine-tuning reads; null: all of the profile",
    )
    num_problems: int | None = Field(
        None, ge=1, description="problems that fine-tuning reads at most; null: all"
    )
    training: TrainingSettings | None = Field(
        None, description="how the model is trained; null: `base` is used as it is"
    )
    scoring: ScoringSettings = Field(
        ScoringSettings(), description="how a reward model scores; not read of other models"
    )
    solves: tuple[Split, ...] = Field(
        SPLITS, min_length=1, description="splits whose problems a generator solves"
    )

    @property
    def scored_length(self) -> int | None:
        """The most tokens that a reward model reads; null: its window."""
        return self.scoring.max_length or (self.training.max_length if self.training else None)
