"""The models and annotators that ``human_truth`` measures: sections of a profile."""

from pydantic import Field

from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.kinds import annotator_kinds
from shepherd.engine_settings import EngineSettings
from shepherd.section import Section
from shepherd.settings import AnnotationSettings, ModelSettings, SamplingSettings

WITHOUT_MODEL = (
    *(
        {"kind": kind, "num_searches": 1} if kind == "tree_search" else kind
        for kind, one in annotator_kinds().items()
        if issubclass(one, RolloutSettings)
    ),
    "rule",
)
"""Every annotator that needs no model beside the completer. Nearly all problems have one solution,
whose first error the first tree search finds; further ones would draw for other texts."""


class TruthSettings(Section):
    """The sections of a profile that decide how solutions are labelled."""

    seed: int = Field(0, ge=0, description="seed of the draws")
    completer: ModelSettings = Field(description="the model that draws rollouts, as it is")
    engine: EngineSettings = Field(EngineSettings(), description="how completions are drawn")
    sampling: SamplingSettings = Field(
        SamplingSettings(), description="temperature and length of rollouts"
    )
    annotation: AnnotationSettings = Field(
        AnnotationSettings.model_validate({"annotators": WITHOUT_MODEL}),
        description="the annotators to measure",
    )
