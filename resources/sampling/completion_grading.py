"""Grade completions against gold answers."""

from collections.abc import Sequence

import polars as pl

from resources.grading import Verdict, grade_pairs
from shepherd.answers import extract_answer

COMPLETE = ("stop", "imported")
"""Finish reasons of texts that were not cut: a cut text may end inside its answer."""


class CompletionGrader:
    """Grades completions, each distinct pair of answers once in the life of the object."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, str | None], Verdict] = {}

    def grade(self, completions: pl.DataFrame) -> pl.DataFrame:
        """Return ``completions`` with the columns answer, is_correct and grade_reason.

        ``completions`` has the columns gold_answer, text, finish_reason and begins_in_thought. A
        completion that is an error, was cut at its token limit or inside its thought, or names no
        answer is incorrect; the reason is ``missing``.
        """
        keys = ("gold_answer", "text", "finish_reason", "begins_in_thought")
        distinct = (
            completions.select(keys)
            .with_row_index("rows")
            .group_by(keys, maintain_order=True)
            .agg("rows")
        )
        pairs = [
            (
                gold,
                extract_answer(text, begins_in_thought=begins_in_thought)
                if finish_reason in COMPLETE
                else None,
            )
            for gold, text, finish_reason, begins_in_thought in distinct.select(keys).iter_rows()
        ]
        ungraded = [pair for pair in dict.fromkeys(pairs) if pair not in self._verdicts]
        self._verdicts.update(zip(ungraded, grade_pairs(ungraded), strict=True))
        verdicts = [self._verdicts[pair] for pair in pairs]
        grades = distinct.select(
            "rows",
            pl.Series("answer", [answer for _, answer in pairs], dtype=pl.String),
            pl.Series("is_correct", [verdict.correct for verdict in verdicts], dtype=pl.Boolean),
            pl.Series("grade_reason", [verdict.reason for verdict in verdicts], dtype=pl.String),
        )
        of_each = grades.explode("rows").sort("rows").drop("rows")
        return pl.concat([completions, of_each], how="horizontal")

    def are_correct(
        self, golds: Sequence[str], texts: Sequence[str], finish_reasons: Sequence[str]
    ) -> list[bool]:
        """Return whether each text has its gold answer; the arguments are parallel."""
        columns = {"gold_answer": golds, "text": texts, "finish_reason": finish_reasons}
        completions = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
        graded = self.grade(completions.with_columns(begins_in_thought=pl.lit(False)))
        return graded["is_correct"].to_list()


def grade_completions(
    completions: pl.DataFrame, problems: pl.DataFrame, begins_in_thought: pl.Expr | None = None
) -> pl.DataFrame:
    """Return ``completions`` with the columns answer, is_correct and grade_reason.

    ``completions`` has the columns problem_id, text and finish_reason; ``problems`` has
    problem_id and gold_answer. ``begins_in_thought`` says of each row whether its prompt opens a
    thought; by default none does. The grades are those of :class:`CompletionGrader`.
    """
    if begins_in_thought is None:
        begins_in_thought = pl.lit(False)
    joined = completions.join(
        problems.select("problem_id", "gold_answer"),
        on="problem_id",
        how="left",
        maintain_order="left",
    ).with_columns(begins_in_thought=begins_in_thought)
    assert joined["gold_answer"].null_count() == 0
    return CompletionGrader().grade(joined).drop("gold_answer", "begins_in_thought")
