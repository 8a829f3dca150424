"""Settings of a model: generator, completer or reward model."""

from pydantic import Field, field_validator

from shepherd.engine_settings import Checkpoint, VllmPlacement
from shepherd.prompts import PromptTemplate
from shepherd.section import Section
from shepherd.settings.datasets import SPLITS, Split
from shepherd.settings.scoring import ScoringSettings
from shepherd.settings.training import TrainingSettings


class ModelSettings(Section):
    """A model: the weights that it starts from, and how it is trained from there."""

    base: Checkpoint
    template: PromptTemplate = "plain"
    stop: tuple[str, ...] = Field(
        (),
        max_length=4,
        description="strings at which a completion of a generator or completer ends, cut from its "
        "text; a base model else writes the next question after its answer",
    )
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
    vllm: VllmPlacement | None = Field(
        None,
        description="GPUs on which vLLM draws with this model; null: those of `engine.vllm`; not "
        "read of reward models",
    )
    scoring: ScoringSettings = Field(
        ScoringSettings(), description="how a reward model scores; not read of other models"
    )
    solves: tuple[Split, ...] = Field(
        SPLITS, min_length=1, description="splits whose problems a generator solves"
    )

    @field_validator("stop")
    @classmethod
    def _every_string_can_end_a_text(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        if "" in stop:
            raise ValueError("an empty string ends every text before it begins: leave it out")
        for place, text in enumerate(stop):
            for other in (*stop[:place], *stop[place + 1 :]):
                if other in text:
                    raise ValueError(
                        f"{text!r} holds {other!r}, which ends a text before: leave it out"
                    )
        return stop

    @property
    def scoring_here(self) -> ScoringSettings:
        """How the reward model of a run scores: one that is trained here reads ``tags``."""
        is_known = self.training is None or self.scoring.format != "auto"
        return self.scoring if is_known else self.scoring.model_copy(update={"format": "tags"})

    @property
    def scored_length(self) -> int | None:
        """The most tokens that a reward model reads; null: its window."""
        return self.scoring.max_length or (self.training.max_length if self.training else None)
