"""Labels by entailment between the steps of wrong and of right solutions (DIVERSE).

A baseline of the paper (arXiv 2206.02336): two steps are equivalent if each entails the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import polars as pl
from pydantic import Field

from shepherd.annotators.annotator import AnnotatorSettings, LabelInputs
from shepherd.annotators.entailment import EntailmentSettings, Entails, Pair
from shepherd.annotators.problem import Label
from shepherd.annotators.reference import Compared, label_by_references
from shepherd.engine_settings import Checkpoint
from shepherd.splitting import Method


def nli_labels(
    steps: pl.DataFrame,
    solutions: pl.DataFrame,
    problems: pl.DataFrame,
    entails: Entails,
    method: Method = "auto",
) -> pl.DataFrame:
    """Return ``step_labels`` of the annotator ``nli``.

    A step of a wrong solution is right if it and all steps before it are equivalent to the steps of
    the same index of one reference. Soft is the smallest probability of the entailments that this
    takes, for the reference with the highest result. Hard is 1 where soft is above 1/2. Gold
    solutions are cut by ``method``. References and other steps:
    :func:`shepherd.annotators.reference.label_by_references`.

    One call of ``entails`` gets all distinct pairs; equal texts need no call.
    """

    def label_wrong(wrong: Sequence[Compared]) -> Iterator[list[Label]]:
        pairs = sorted({pair for compared in wrong for pair in _pairs(compared)})
        entailment = dict(zip(pairs, entails(pairs) if pairs else (), strict=True))
        for compared in wrong:
            yield _label(compared, entailment)

    return label_by_references("nli", label_wrong, steps, solutions, problems, method)


def _pairs(compared: Compared) -> Iterator[Pair]:
    for reference in compared.references:
        for step, other in _aligned(compared, reference):
            if step != other:
                yield step, other
                yield other, step


def _label(compared: Compared, entailment: Mapping[Pair, float]) -> list[Label]:
    best = [0.0] * (len(compared.solution.texts) - 1)
    for reference in compared.references:
        so_far = 1.0
        for index, (step, other) in enumerate(_aligned(compared, reference)):
            if step != other:
                so_far = min(so_far, entailment[step, other], entailment[other, step])
            best[index] = max(best[index], so_far)
    return [Label(hard=int(soft > 0.5), soft=soft) for soft in best]


def _aligned(compared: Compared, reference: Sequence[str]) -> Iterator[Pair]:
    """Yield the solution's steps but for the last, each with the reference's of the same index."""
    for step, other in zip(compared.solution.texts[:-1], reference, strict=False):
        yield step.strip(), other.strip()


class NliSettings(AnnotatorSettings):
    """Entailment between the steps of wrong and of right solutions."""

    kind: Literal["nli"] = Field("nli", description="the annotator")
    model: Checkpoint = "FacebookAI/roberta-large-mnli"
    language_model: EntailmentSettings | None = Field(
        None, description="model that is asked instead of the classifier `model`; null: none"
    )

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``; ``inputs.entails`` is the opened model."""
        assert inputs.entails is not None, "the annotator nli needs an entailment model"
        return nli_labels(
            inputs.steps, inputs.solutions, inputs.problems, inputs.entails, inputs.method
        )
