"""Problems with their solutions, and the protocol of annotators that roll out.

An annotator asks for rollouts of prefixes in rounds, given the rollouts of the rounds before.
Rollouts of a prefix are numbered, and the number is part of the rollout's seed. So labels depend
neither on batch size and order nor on other annotators that share the draws, and a replay computes
them again from the raw rollouts.
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
    """Whether the engine failed to draw it: such a rollout says nothing about the prefix."""


DrawnRollouts = Mapping[str, Sequence[Rollout]]
"""The first rollouts of each prefix, by its text, in the order of their index."""

Pool = Mapping[str, Sequence[Rollout]]
"""The first rollouts of each prefix, by its id, whichever annotator requested them."""

RolloutTargets = Mapping[str, int]
"""The total number of rollouts that each prefix should have, by its text; more than it has now."""

Rounds = Iterator[RolloutTargets]
"""The targets of one round after another. All rollouts of a round are drawn before the next round
begins. An empty round ends them."""


@dataclass(frozen=True)
class SolutionSteps:
    """One solution of a problem, as its steps. The last step needs no rollouts.

    ``step_ids`` and ``texts`` have one entry a step; the joined texts are the solution.
    """

    solution_id: str
    is_correct: bool
    step_ids: tuple[str, ...]
    texts: tuple[str, ...]

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """The text up to each step but the last."""
        return tuple(accumulate(self.texts[:-1]))


@dataclass(frozen=True)
class SolvedProblem:
    """A problem with the solutions to label."""

    problem_id: str
    question: str
    solutions: tuple[SolutionSteps, ...]

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """Each distinct prefix once, sorted: neighbours share the longest beginning."""
        return tuple(sorted({prefix for s in self.solutions for prefix in s.prefixes}))

    def prefix_id(self, prefix: str) -> str:
        """Return the content hash of the problem and the steps so far."""
        prefix_id = self._prefix_ids.get(prefix)
        if prefix_id is None:
            prefix_id = self._prefix_ids[prefix] = content_id(self.problem_id, prefix)
        return prefix_id

    @cached_property
    def _prefix_ids(self) -> dict[str, str]:
        return {}

    @cached_property
    def proven(self) -> frozenset[str]:
        """The prefixes of right solutions: the solution proves that they reach the answer."""
        return frozenset(p for s in self.solutions if s.is_correct for p in s.prefixes)


@dataclass(frozen=True)
class Label:
    """The label of one step: a row of ``step_labels`` without its id and annotator.

    ``hard`` is 0 or 1, ``soft`` the probability that the step is right; ``low`` and ``high`` are
    the ends of the interval of ``soft``.
    """

    hard: int
    soft: float | None = None
    num_rollouts: int = 0
    num_correct: int = 0
    low: float | None = None
    high: float | None = None


class Annotator(Protocol):
    """Labels the steps of a problem from rollouts that it asks for in rounds."""

    @property
    def name(self) -> str:
        """Its name in profiles and in ``step_labels``."""
        ...

    @property
    def num_rollouts(self) -> int:
        """N: the most rollouts of one prefix that it requests."""
        ...

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:
        """Yield the targets of each round; end once the labels are decided.

        ``drawn`` is empty at first. It holds the rollouts of all earlier rounds whenever the
        generator resumes.
        """
        ...

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:
        """Return the labels of each solution's steps, from the rollouts of all rounds.

        An empty list leaves a solution unlabelled.
        """
        ...


def read_problems(
    steps: pl.DataFrame, solutions: pl.DataFrame, problems: pl.DataFrame
) -> list[SolvedProblem]:
    """Return the problems of three tables with their solutions, in the order of their ids."""
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
        SolvedProblem(
            problem_id,
            question,
            tuple(
                SolutionSteps(solution_id, is_correct, tuple(step_ids), tuple(texts))
                for _, _, solution_id, is_correct, step_ids, texts in of_problem
            ),
        )
        for (problem_id, question), of_problem in groupby(rows, key=itemgetter(0, 1))
    ]


class Replay:
    """The rounds of one annotator on one problem, and the rollouts that it has so far."""

    def __init__(self, annotator: Annotator, problem: SolvedProblem) -> None:
        self.annotator = annotator
        self.problem = problem
        self.drawn: dict[str, Sequence[Rollout]] = {}
        self._rounds = annotator.ask(problem, self.drawn)
        self._targets = next(self._rounds, {})

    def advance(self, pool: Pool) -> RolloutTargets:
        """Take rollouts from ``pool`` round by round; return the first targets that it lacks.

        Returns no targets once the annotator asks for no more. It takes a round as a whole, so that
        the order in which an engine finishes has no effect.
        """
        while targets := self._targets:
            available = {p: pool.get(self.problem.prefix_id(p), ()) for p in targets}
            if any(len(available[prefix]) < n for prefix, n in targets.items()):
                return targets
            for prefix, n in targets.items():
                assert n > len(self.drawn.get(prefix, ())), (
                    "an annotator requested rollouts that it has"
                )
                self.drawn[prefix] = available[prefix][:n]
            self._targets = next(self._rounds, {})
        return {}

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield step id and label of every labelled step of the problem.

        A solution stays unlabelled if the engine failed to draw one of its rollouts.
        """
        failed = {p for p, rollouts in self.drawn.items() if any(r.is_error for r in rollouts)}
        labels = self.annotator.label(self.problem, self.drawn)
        for solution, of_steps in zip(self.problem.solutions, labels, strict=True):
            if not failed.isdisjoint(solution.prefixes):
                continue
            assert len(of_steps) in (0, len(solution.texts)), "a solution is labelled in part"
            yield from zip(solution.step_ids, of_steps, strict=False)


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
    annotator: Annotator, problems: Sequence[SolvedProblem], rollouts: pl.DataFrame
) -> list[Replay]:
    """Replay the annotator on each problem, from the ``rollouts`` of a completer.

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
