r"""Labels by comparing numbers with right solutions: DIVERSE's rule (arXiv 2206.02336).

A baseline of the paper. A computed number is a plain number that ends a side of an equation:
the 8 of ``3 + 5 = 8 apples``, not the 3 of ``x = 3y`` nor that of ``x = 3 \cdot 4``.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import polars as pl
from pydantic import Field

from shepherd.annotators.annotator import AnnotatorSettings, LabelInputs
from shepherd.annotators.problem import Label
from shepherd.annotators.reference import Compared, label_by_references
from shepherd.equivalence import number
from shepherd.plain_text import normalize

_VALUE = (
    r"[-−]?(?:\\?\$|[£€])?[-−]?"
    r"(?:\\[dtc]?frac\{-?\d+\}\{\d+\}|\d{1,3}(?:(?:,|\{,\}|,\\!)\d{3})+(?!\d)(?:\.\d+)?"
    r"|\d+(?:\.\d+)?(?:/\d+)?|\.\d+)"
)
_OPERATOR = (
    r"[-−+*/×÷·^(]|x(?=[ ]*\d)|\\(?:cdot|times|div|ast|pm|sqrt|pi|[dtc]?frac|left|binom|log|ln)"
)
_COMPUTED = re.compile(
    rf"(?:(?<![<>!])=|≈|\\approx)[ ]*(?P<value>(?>{_VALUE}))"
    rf"(?![\d_A-Za-z{{]|\.\d|[ ]*(?:{_OPERATOR}))"
)


def rule_labels(
    steps: pl.DataFrame, solutions: pl.DataFrame, problems: pl.DataFrame
) -> pl.DataFrame:
    """Return ``step_labels`` of the annotator ``rule``: hard labels alone.

    A step of a wrong solution is right if one reference computes all numbers that the solution has
    computed up to this step. References and other steps:
    :func:`shepherd.annotators.reference.label_by_references`.
    """
    labels = label_by_references(
        "rule", lambda wrong: map(_label, wrong), steps, solutions, problems
    )
    return labels.with_columns(soft=pl.lit(None, pl.Float64))


def _label(compared: Compared) -> list[Label]:
    agreeing = [computed_numbers("".join(texts)) for texts in compared.references]
    labels = []
    for text in compared.solution.texts[:-1]:
        computed = computed_numbers(text)
        agreeing = [reference for reference in agreeing if computed <= reference]
        labels.append(Label(hard=int(bool(agreeing))))
    return labels


@lru_cache(maxsize=2**16)
def computed_numbers(text: str) -> frozenset[Fraction]:
    r"""Return the numbers computed in a text, as exact fractions.

    Thousands separators, currency and percent signs, units and trailing zeros are ignored:
    ``= \$1,200.00`` computes 1200, ``= 25\%`` 25, ``= \frac{2}{4}`` and ``= 0.5`` both 1/2.
    """
    values = (number(normalize(match["value"])) for match in _COMPUTED.finditer(text))
    return frozenset(value for value in values if value is not None)


class RuleSettings(AnnotatorSettings):
    """DIVERSE's rule: compare the computed numbers with those of right solutions."""

    kind: Literal["rule"] = Field("rule", description="the annotator")

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``."""
        return rule_labels(inputs.steps, inputs.solutions, inputs.problems)
