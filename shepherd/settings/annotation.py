"""Settings of annotation: the annotators of a profile, and whose labels are trained on."""

from typing import Annotated

from pydantic import Field, GetCoreSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema, core_schema

from shepherd.annotators.annotator import AnnotatorSettings, RolloutSettings
from shepherd.annotators.entailment import EntailmentSettings
from shepherd.annotators.judge import JudgeSettings
from shepherd.annotators.kinds import annotator_kinds
from shepherd.annotators.monte_carlo import MonteCarloSettings
from shepherd.annotators.nli import NliSettings
from shepherd.annotators.problem import Annotator
from shepherd.nearest import did_you_mean
from shepherd.section import Section
from shepherd.splitting import Method


class _OneOfAllKinds:
    """Validates a value by the settings of the annotator that its ``kind`` names."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {kind: handler.generate_schema(one) for kind, one in annotator_kinds().items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")


class AnnotationSettings(Section):
    """The annotators that label steps. Their rollouts are drawn once and shared."""

    annotators: tuple[Annotated[AnnotatorSettings, _OneOfAllKinds()], ...] = Field(
        (MonteCarloSettings(),),
        min_length=1,
        description="the annotators, each at most once; a bare word is short for `{kind: word}`",
    )
    consensus: tuple[str, str] | None = Field(
        None,
        description="two of `annotators`; solutions on whose first error both agree are labelled "
        "once more, by `consensus`",
    )
    train_on: str = Field(
        "monte_carlo",
        description="whose labels reward models learn from: one of `annotators`, `consensus`, or "
        "the annotator of imported labels",
    )

    @property
    def names(self) -> list[str]:
        """The words of the annotators, in the profile's order."""
        return [annotator.kind for annotator in self.annotators]

    @property
    def max_rollouts(self) -> int:
        """The most rollouts of one prefix that an annotator asks for; 0 if none rolls out."""
        return max((one.num_rollouts for one in self.annotators_that_roll_out()), default=0)

    @property
    def judge(self) -> JudgeSettings | None:
        """The settings of the judge, if it is among the annotators."""
        return next((one for one in self.annotators if isinstance(one, JudgeSettings)), None)

    @property
    def language_model(self) -> EntailmentSettings | None:
        """The settings of the language model that ``nli`` asks, if it asks one."""
        models = (one.language_model for one in self.annotators if isinstance(one, NliSettings))
        return next(models, None)

    def annotators_that_roll_out(self, method: Method = "auto") -> list[Annotator]:
        """Return the annotators that need rollouts, for texts that are cut by ``method``."""
        return [
            settings.annotator(method)
            for settings in self.annotators
            if isinstance(settings, RolloutSettings)
        ]

    @field_validator("annotators", mode="before")
    @classmethod
    def _words_name_annotators(cls, annotators: object) -> object:
        if not isinstance(annotators, list | tuple):
            return annotators
        kinds = annotator_kinds()
        for annotator in annotators:
            word = annotator.get("kind") if isinstance(annotator, dict) else annotator
            if word == "human":
                raise ValueError(
                    "people do not label here: name the file of their ratings in "
                    "datasets.<name>.labels, with annotator: human"
                )
            if isinstance(word, str) and word not in kinds:
                raise ValueError(
                    f"{word!r} is unknown{did_you_mean(word, kinds)}: "
                    f"name some of {', '.join(kinds)}"
                )
        return tuple({"kind": one} if isinstance(one, str) else one for one in annotators)

    @model_validator(mode="after")
    def _names_agree(self) -> "AnnotationSettings":
        if len(set(self.names)) < len(self.names):
            raise ValueError("annotators: name each once")
        for name in self.consensus or ():
            if name not in self.names:
                raise ValueError(f"consensus: {name} is not in annotators: add it there")
        return self
