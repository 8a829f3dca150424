"""The settings that all annotators share, and the tables that they label steps from."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl
from pydantic import Field

from shepherd.annotators.entailment import Entails
from shepherd.annotators.problem import Annotator, label_steps, read_problems, replay_problems
from shepherd.annotators.rates import Rates
from shepherd.schemas import CRITIQUES, ROLLOUTS
from shepherd.section import Section
from shepherd.splitting import Method


@dataclass(frozen=True)
class LabelInputs:
    """What annotators read: frames as in the schemas, and an entailment model for ``nli``.

    ``rates`` are those that a pilot has learned for ``adaptive``. ``method`` is how the steps were
    cut. Leave out what the annotator in question does not read.
    """

    steps: pl.DataFrame
    solutions: pl.DataFrame
    problems: pl.DataFrame
    rollouts: pl.DataFrame = field(default_factory=ROLLOUTS.empty)
    critiques: pl.DataFrame = field(default_factory=CRITIQUES.empty)
    entails: Entails | None = None
    rates: Rates | None = None
    method: Method = "auto"


class AnnotatorSettings(Section):
    """Settings of one annotator, and its way to label.

    A subclass narrows ``kind`` to one word: its name in profiles and in ``step_labels``.
    """

    READS: ClassVar[tuple[str, ...]] = ("steps", "solutions", "problems")
    """The tables that labels are made from: fields of :class:`LabelInputs`."""

    kind: str

    @abstractmethod
    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return the ``step_labels`` of this annotator, in the order of ``inputs.steps``."""


class RolloutSettings(AnnotatorSettings):
    """Settings of an annotator that asks for rollouts of prefixes."""

    READS = (*AnnotatorSettings.READS, "rollouts")

    num_rollouts: int = Field(8, ge=1, description="N: rollouts of a prefix, at most")

    @abstractmethod
    def annotator(self, method: Method = "auto") -> Annotator:
        """Return the annotator, for texts that are cut into steps by ``method``."""

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``, replayed from the raw rollouts.

        Raises:
            ValueError: a rollout that the annotator asks for was not drawn.
        """
        return self.replay(self.annotator(inputs.method), inputs)

    @staticmethod
    def replay(annotator: Annotator, inputs: LabelInputs) -> pl.DataFrame:
        """Return the ``step_labels`` of an annotator, replayed from the raw rollouts.

        Raises:
            ValueError: a rollout that the annotator asks for was not drawn.
        """
        problems = read_problems(inputs.steps, inputs.solutions, inputs.problems)
        replays = replay_problems(annotator, problems, inputs.rollouts)
        return label_steps(annotator, inputs.steps, replays)
