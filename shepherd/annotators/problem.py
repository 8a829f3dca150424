"""What an annotator sees of a problem, and the replay of what it asked for.

An annotator that rolls out says how many rollouts of which prefixes it wants next, given those
that it was shown. Rollouts are numbered, and the number is part of a rollout's seed: so what an
annotator asks for, is shown and labels does not depend on batch size, order or on the other
annotators that share the draws, and its labels can be computed again from the raw rollouts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, groupby
from operator import itemgetter
from typing import NamedTuple, Protocol

import polars as pl

from shepherd.identity import content_id
from shepherd.schemas import STEP_LABELS


class Rollout(NamedTuple):
    """A graded completion of a prefix. ``text`` is the continuation alone."""

    is_correct: bool
    text: str
    num_tokens: int = 0
    is_error: bool = False
    """The engine could not draw it: it says nothing about the prefix."""


Shown = Mapping[str, Sequence[Rollout]]
"""By prefix text: its first rollouts, in the order of their index."""

Pool = Mapping[str, Sequence[Rollout]]
"""By prefix id: the first rollouts drawn, whoever asked for them."""

Wanted = Mapping[str, int]
"""By prefix text: how many rollouts there should be; more than were shown."""

Rounds = Iterator[Wanted]
"""What is wanted next, round by round; what came of one is shown before the next is asked for.
An empty round is the last."""


@dataclass(frozen=True)
class Solution:
    """One solution of a problem, as its steps. The last step needs no rollouts."""

    solution_id: str
    is_correct: bool
    step_ids: tuple[str, ...]
    texts: tuple[str, ...]

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """The steps so far, after each step but the last."""
        return tuple(accumulate(self.texts[:-1]))


@dataclass(frozen=True)
class Problem:
    """A problem with the solutions to label."""

    problem_id: str
    question: str
    solutions: tuple[Solution, ...]

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """Each distinct non-final prefix once, sorted: neighbours share the longest prefill."""
        return tuple(sorted({prefix for s in self.solutions for prefix in s.prefixes}))

    def prefix_id(self, prefix: str) -> str:
        """Return the content hash of the problem and the steps so far."""
        found = self._prefix_ids.get(prefix)
        if found is None:
            found = self._prefix_ids[prefix] = content_id(self.problem_id, prefix)
        return found

    @cached_property
    def _prefix_ids(self) -> dict[str, str]:
        return {}

    @cached_property
    def proven(self) -> frozenset[str]:
        """The prefixes of right solutions: they reach the answer, as the solution shows."""
        return frozenset(p for s in self.solutions if s.is_correct for p in s.prefixes)


@dataclass(frozen=True)
class Label:
    """What an annotator says of a step: a row of ``step_labels`` but for its id and annotator."""

    hard: int
    soft: float | None = None
    num_rollouts: int = 0
    num_correct: int = 0
    low: float | None = None
    high: float | None = None


class Annotator(Protocol):
    """Labels the steps of a problem by rollouts that it asks for in rounds."""

    @property
    def name(self) -> str:
        """The word that stands for it in a profile and in ``step_labels``."""
        ...

    @property
    def num_rollouts(self) -> int:
        """N: the most rollouts of one prefix that it asks for."""
        ...

    def ask(self, problem: Problem, shown: Shown) -> Rounds:
        """Yield what is wanted beyond what is shown; end once the labels are decided.

        ``shown`` is empty at first and holds all that was wanted whenever this goes on.
        """
        ...

    def label(self, problem: Problem, shown: Shown) -> list[list[Label]]:
        """Return the labels of each solution's steps from all that was wanted.

        An empty list leaves a solution unlabelled.
        """
        ...


def read_problems(
    steps: pl.DataFrame, solutions: pl.DataFrame, problems: pl.DataFrame
) -> list[Problem]:
    """Gather ``steps``, ``solutions`` and ``problems`` by problem, in the order of their ids."""
    gathered = (
        steps.sort("solution_id", "step_index")
        .group_by("solution_id", maintain_order=True)
        .agg(pl.col("problem_id").first(), "step_id", "text")
        .join(solutions.select("solution_id", "is_correct"), on="solution_id", how="left")
        .join(problems.select("problem_id", "question"), on="problem_id", how="left")
        .sort("problem_id", "solution_id")
    )
    assert gathered["is_correct"].null_count() + gathered["question"].null_count() == 0
    columns = ("problem_id", "question", "solution_id", "is_correct", "step_id", "text")
    rows = gathered.select(columns).iter_rows()
    return [
        Problem(
            problem_id,
            question,
            tuple(
                Solution(solution_id, is_correct, tuple(step_ids), tuple(texts))
                for _, _, solution_id, is_correct, step_ids, texts in of_problem
            ),
        )
        for (problem_id, question), of_problem in groupby(rows, key=itemgetter(0, 1))
    ]


class Replay:
    """What one annotator was shown of one problem so far."""

    def __init__(self, annotator: Annotator, problem: Problem) -> None:
        self.annotator = annotator
        self.problem = problem
        self.shown: dict[str, Sequence[Rollout]] = {}
        self._rounds = annotator.ask(problem, self.shown)
        self._wanted = next(self._rounds, {})

    def advance(self, pool: Pool) -> Wanted:
        """Show what is asked for as long as ``pool`` has it; return what is asked for beyond.

        Returns nothing once the annotator wants no more. A round is shown only when all of it
        is there, so that the order in which an engine finishes cannot matter.
        """
        while wanted := self._wanted:
            found = {p: pool.get(self.problem.prefix_id(p), ()) for p in wanted}
            if any(len(found[prefix]) < n for prefix, n in wanted.items()):
                return wanted
            for prefix, n in wanted.items():
                assert n > len(self.shown.get(prefix, ())), "an annotator asked in vain"
                self.shown[prefix] = found[prefix][:n]
            self._wanted = next(self._rounds, {})
        return {}

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield step id and label of every labelled step of the problem.

        A solution is left unlabelled if a rollout that was asked for could not be drawn.
        """
        failed = {p for p, rollouts in self.shown.items() if any(r.is_error for r in rollouts)}
        labels = self.annotator.label(self.problem, self.shown)
        for solution, found in zip(self.problem.solutions, labels, strict=True):
            if not failed.isdisjoint(solution.prefixes):
                continue
            assert len(found) in (0, len(solution.texts)), "a solution is labelled in part"
            yield from zip(solution.step_ids, found, strict=False)


def read_pool(rollouts: pl.DataFrame) -> dict[str, list[Rollout]]:
    """Return the ``rollouts`` of one completer by prefix."""
    gathered = (
        rollouts.sort("prefix_id", "rollout_index")
        .group_by("prefix_id", maintain_order=True)
        .agg(
            "rollout_index",
            "is_correct",
            "text",
            "num_tokens",
            is_error=pl.col("finish_reason") == "error",
        )
    )
    pool = {}
    for prefix_id, indices, *columns in gathered.iter_rows():
        assert indices == list(range(len(indices))), "rollouts of a prefix are missing or repeat"
        pool[prefix_id] = [Rollout(*values) for values in zip(*columns, strict=True)]
    return pool


def replay_problems(
    annotator: Annotator, problems: Sequence[Problem], rollouts: pl.DataFrame
) -> list[Replay]:
    """Return what the annotator is shown of each problem, from the ``rollouts`` of a completer.

    Raises:
        ValueError: a rollout that the annotator asks for was not drawn.
    """
    pool = read_pool(rollouts)
    replays = [Replay(annotator, problem) for problem in problems]
    for replay in replays:
        if lacking := replay.advance(pool):
            raise not_drawn(annotator.name, len(lacking), replay.problem.problem_id)
    return replays


def not_drawn(annotator: str, num_prefixes: int, problem_id: str) -> ValueError:
    """Return the error that rollouts are missing which an annotator asks for."""
    return ValueError(
        f"rollouts: annotator {annotator} asks for more than was drawn of {num_prefixes} prefixes "
        f"of problem {problem_id}: materialize the asset rollouts of this partition again"
    )


def label_steps(
    annotator: Annotator, steps: pl.DataFrame, replays: Sequence[Replay]
) -> pl.DataFrame:
    """Return the ``step_labels`` of an annotator, in the order of ``steps``."""
    labels = dict(chain.from_iterable(replay.labels() for replay in replays))
    return label_frame(annotator.name, steps, labels)


def label_frame(annotator: str, steps: pl.DataFrame, labels: Mapping[str, Label]) -> pl.DataFrame:
    """Return labels by step id as ``step_labels``, in the order of ``steps``."""
    rows = [
        (step_id, annotator, *vars(labels[step_id]).values())
        for step_id in steps["step_id"]
        if step_id in labels
    ]
    fields = ("step_id", "annotator", *Label.__dataclass_fields__)
    schema = {name: STEP_LABELS.schema[name] for name in fields}
    return pl.DataFrame(rows, schema=schema, orient="row").select(STEP_LABELS.schema.keys())
