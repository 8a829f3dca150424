"""The exact truth of word problems, to measure all other annotators against."""

from typing import Literal

import polars as pl
from pydantic import Field

from shepherd.annotators.annotator import AnnotatorSettings, LabelInputs
from shepherd.schemas import STEP_LABELS
from shepherd.word_problems import judge_steps


def oracle_labels(steps: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """Label each step right (1) or wrong (0); a step after a wrong one is wrong.

    ``steps`` and ``problems`` are as in the schemas. The result is ``step_labels`` of the annotator
    ``oracle``, without rollouts and intervals.

    Raises:
        ValueError: a problem is not a word problem of this project.
    """
    solutions = (
        steps.sort("solution_id", "step_index")
        .group_by("solution_id", "problem_id", maintain_order=True)
        .agg("step_id", "text")
        .join(problems.select("problem_id", "question"), on="problem_id", maintain_order="left")
    )
    verdicts = [
        [int(right) for right in judge_steps(question, texts)]
        for question, texts in solutions.select("question", "text").iter_rows()
    ]
    labels = (
        solutions.with_columns(pl.Series("hard", verdicts, dtype=pl.List(pl.Int64)))
        .select("step_id", "hard")
        .explode("step_id", "hard")
        .with_columns(
            annotator=pl.lit("oracle"),
            num_rollouts=pl.lit(0, pl.Int64),
            num_correct=pl.lit(0, pl.Int64),
            soft=pl.col("hard").cast(pl.Float64),
            low=pl.lit(None, pl.Float64),
            high=pl.lit(None, pl.Float64),
        )
    )
    return labels.select(STEP_LABELS.schema.keys())


class OracleSettings(AnnotatorSettings):
    """The exact truth of word problems; it knows no other dataset."""

    kind: Literal["oracle"] = Field("oracle", description="the annotator")

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``."""
        return oracle_labels(inputs.steps, inputs.problems)
