"""The paper's annotator (Math-Shepherd, arXiv 2312.08935, eq. 3 and 4).

The rollouts that :class:`MonteCarlo` asks for depend on no other rollout. So its requests are known
beforehand, and its labels are counts of rows: :func:`monte_carlo_labels` computes them by columns,
ten times faster than the replay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from shepherd.annotators.annotator import LabelInputs, RolloutSettings
from shepherd.annotators.outcomes import estimate, with_outcomes
from shepherd.annotators.problem import (
    Annotator,
    DrawnRollouts,
    Label,
    Rounds,
    SolvedProblem,
    not_drawn,
)
from shepherd.intervals import wilson_interval
from shepherd.schemas import STEP_LABELS
from shepherd.splitting import Method


@dataclass(frozen=True)
class MonteCarlo:
    """Rolls each prefix out exactly ``num_rollouts`` times: hard labels by eq. 3, soft by eq. 4."""

    name: ClassVar[str] = "monte_carlo"
    num_rollouts: int

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:  # noqa: ARG002
        """Ask for all rollouts at once."""
        yield dict.fromkeys(problem.prefixes, self.num_rollouts)

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return hard and soft labels."""
        labels = {prefix: estimate(rollouts) for prefix, rollouts in drawn.items()}
        return with_outcomes(problem, labels)


class MonteCarloSettings(RolloutSettings):
    """The paper's annotator: exactly N rollouts of each prefix."""

    kind: Literal["monte_carlo"] = Field("monte_carlo", description="the annotator")

    def annotator(self, method: Method = "auto") -> MonteCarlo:  # noqa: ARG002
        """Return the annotator; it cuts no text."""
        return MonteCarlo(self.num_rollouts)

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``, computed by columns.

        Raises:
            ValueError: a rollout that the annotator asks for was not drawn.
        """
        return monte_carlo_labels(
            self.num_rollouts, inputs.steps, inputs.solutions, inputs.rollouts
        )


def known_rollouts(annotators: Sequence[Annotator]) -> int | None:
    """Return the number of rollouts of every prefix; None if it depends on other rollouts."""
    counts = [one.num_rollouts for one in annotators if isinstance(one, MonteCarlo)]
    return max(counts) if counts and len(counts) == len(annotators) else None


def monte_carlo_labels(
    num_rollouts: int, steps: pl.DataFrame, solutions: pl.DataFrame, rollouts: pl.DataFrame
) -> pl.DataFrame:
    """Return the ``step_labels`` of :class:`MonteCarlo`, in the order of ``steps``.

    A solution stays unlabelled if the engine failed to draw one of its rollouts.

    Raises:
        ValueError: a requested rollout was not drawn: materialize ``rollouts`` again.
    """
    counts = (
        rollouts.filter(pl.col("rollout_index") < num_rollouts)
        .group_by("prefix_id")
        .agg(
            num_rollouts=pl.len().cast(pl.Int64),
            num_correct=pl.col("is_correct").sum().cast(pl.Int64),
            is_failed=(pl.col("finish_reason") == "error").any(),
        )
    )
    rolled = (
        steps.join(counts, on="prefix_id", how="left", maintain_order="left")
        .join(_estimates(num_rollouts), on="num_correct", how="left", maintain_order="left")
        .join(
            solutions.select("solution_id", "is_correct"),
            on="solution_id",
            how="left",
            maintain_order="left",
        )
    )
    is_last = pl.col("is_last")
    missing = rolled.filter(~is_last, ~pl.col("num_rollouts").eq_missing(num_rollouts))
    if missing.height:
        problem_id = str(missing["problem_id"].min())
        prefixes = missing.filter(problem_id=problem_id)["prefix_id"]
        raise not_drawn(MonteCarlo.name, prefixes.n_unique(), problem_id)
    failed = rolled.filter(~is_last, "is_failed").select("solution_id")
    outcome = {
        "num_rollouts": pl.lit(0, pl.Int64),
        "num_correct": pl.lit(0, pl.Int64),
        "hard": pl.col("is_correct").cast(pl.Int64),
        "soft": pl.col("is_correct").cast(pl.Float64),
        "low": pl.lit(None, pl.Float64),
        "high": pl.lit(None, pl.Float64),
    }
    return rolled.join(failed, on="solution_id", how="anti", maintain_order="left").select(
        "step_id",
        annotator=pl.lit(MonteCarlo.name),
        **{name: pl.when(is_last).then(label).otherwise(name) for name, label in outcome.items()},
    )


def _estimates(num_rollouts: int) -> pl.DataFrame:
    """Return the hard and the soft label with its interval by the number of right rollouts."""
    rows = [
        (right, int(right > 0), right / num_rollouts, *wilson_interval(right, num_rollouts))
        for right in range(num_rollouts + 1)
    ]
    names = ("num_correct", "hard", "soft", "low", "high")
    return pl.DataFrame(
        rows, schema={name: STEP_LABELS.schema[name] for name in names}, orient="row"
    )
