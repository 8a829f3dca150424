"""The fields of a profile: one class a section, with its defaults. docs/profiles.md lists them.

Sections of annotators and engines stand beside them, in shepherd/annotators and
shepherd/engine_settings.py.
"""

from shepherd.annotators.judge import JudgeSettings
from shepherd.engine_settings import (
    EngineSettings,
    OpenAISettings,
    VllmEngineSettings,
    VllmPlacement,
    VllmSettings,
)
from shepherd.section import NAME_PATTERN, Section
from shepherd.settings.annotation import AnnotationSettings, PilotSettings
from shepherd.settings.datasets import (
    DEFAULT_SPLITTING,
    SPLITS,
    DatasetSettings,
    Split,
    SplittingSettings,
)
from shepherd.settings.deployment import GpuSettings, Settings
from shepherd.settings.exports import ExportSettings
from shepherd.settings.models import ModelSettings
from shepherd.settings.policies import (
    GrpoSettings,
    PolicySettings,
    PpoSettings,
    ReinforcementSettings,
    RftSettings,
    StepReward,
)
from shepherd.settings.runs import RunSettings
from shepherd.settings.sampling import SamplingSettings
from shepherd.settings.scoring import ScoringSettings
from shepherd.settings.training import TOKENS_PER_PASS, TrainingSet, TrainingSettings
from shepherd.settings.verification import VerificationSettings

__all__ = [
    "DEFAULT_SPLITTING",
    "NAME_PATTERN",
    "SPLITS",
    "TOKENS_PER_PASS",
    "AnnotationSettings",
    "DatasetSettings",
    "EngineSettings",
    "ExportSettings",
    "GpuSettings",
    "GrpoSettings",
    "JudgeSettings",
    "ModelSettings",
    "OpenAISettings",
    "PilotSettings",
    "PolicySettings",
    "PpoSettings",
    "ReinforcementSettings",
    "RftSettings",
    "RunSettings",
    "SamplingSettings",
    "ScoringSettings",
    "Section",
    "Settings",
    "Split",
    "SplittingSettings",
    "StepReward",
    "TrainingSet",
    "TrainingSettings",
    "VerificationSettings",
    "VllmEngineSettings",
    "VllmPlacement",
    "VllmSettings",
]
