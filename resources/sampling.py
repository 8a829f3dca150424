"""Draw completions through an engine and a journal, and grade what was drawn."""

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, dataclass
from itertools import islice
from operator import add
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl
from tqdm import tqdm

from resources.grading import Verdict, grade_pairs
from resources.journal import Fingerprint, open_journal
from shepherd.answers import extract_answer
from shepherd.requests import Completion, Engine, Request

COMPLETE = ("stop", "imported")
"""Finish reasons of texts that were not cut: a cut text may end inside its answer."""


@dataclass(frozen=True)
class Cost:
    """What completions took; the sums of the same fields of :class:`Completion`."""

    num_requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> "Cost":
        """Add up; completions read back from a journal count as when they were drawn."""
        return cls(
            num_requests=len(completions),
            prompt_tokens=sum([completion.prompt_tokens for completion in completions]),
            cached_tokens=sum([completion.cached_tokens for completion in completions]),
            completion_tokens=sum([completion.num_tokens for completion in completions]),
            seconds=sum([completion.seconds for completion in completions]),
        )

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(add, astuple(self), astuple(other)))


class Source(Protocol):
    """What decides which requests to draw. ``unit`` says what ``num_done`` and ``total`` count."""

    unit: str
    total: int

    @property
    def num_done(self) -> int:
        """How much of ``total`` is finished."""
        ...

    def take(self, count: int) -> list[Request]:
        """Return up to ``count`` requests to draw now; none while it waits, or at the end."""
        ...

    def tell(self, completions: Sequence[Completion]) -> None:
        """Take in what finished."""
        ...


class Fixed:
    """Requests that are known beforehand, in their order."""

    unit = "completion"

    def __init__(self, requests: Sequence[Request]) -> None:
        assert len({request.id for request in requests}) == len(requests), "request ids repeat"
        self.total = len(requests)
        self.num_done = 0
        self._requests = requests
        self._waiting = iter(requests)
        self._finished: dict[str, Completion] = {}

    def take(self, count: int) -> list[Request]:
        """Return the next ``count`` requests."""
        return list(islice(self._waiting, count))

    def tell(self, completions: Sequence[Completion]) -> None:
        """Keep what finished."""
        self._finished.update((completion.request_id, completion) for completion in completions)
        self.num_done += len(completions)

    @property
    def completions(self) -> list[Completion]:
        """Return what came of each request, in their order."""
        return [self._finished[request.id] for request in self._requests]


BLOCK = 1024
"""Requests that are looked up in the journal at a time, before an engine is open."""


def sample(
    open_engine: Callable[[], Engine],
    source: Source,
    journal_path: Path,
    *,
    fingerprint: Fingerprint,
    description: str,
    earlier: Mapping[str, Completion] | None = None,
) -> Cost:
    """Draw what the source asks for and tell it, taking from the journal what that holds.

    ``earlier`` are completions of the same fingerprint by request id: they are not drawn again.

    Twice the engine's capacity is kept queued. What the source is told does not depend on how
    often earlier runs were killed. The engine is opened only if something is left to draw. The
    journal stays, for the caller to remove once the result is written elsewhere.

    Raises:
        ValueError: another run has the journal open.
    """
    cost = Cost()
    with (
        _rare_collections(),
        open_journal(journal_path, fingerprint) as journal,
        ExitStack() as stack,
        tqdm(desc=description, total=source.total, unit=source.unit, mininterval=1.0) as bar,
    ):
        held = {**(earlier or {}), **journal.found}
        engine, num_queued = None, 0
        waiting: deque[Request] = deque()
        while True:
            room = BLOCK if engine is None else 2 * engine.capacity - num_queued - len(waiting)
            asked = source.take(max(0, room))
            finished = [held.pop(request.id) for request in asked if request.id in held]
            if finished:
                told = {completion.request_id for completion in finished}
                asked = [request for request in asked if request.id not in told]
            waiting += asked
            if waiting:
                engine = engine or stack.enter_context(closing(open_engine()))
                fresh = min(len(waiting), 2 * engine.capacity - num_queued)
                engine.add([waiting.popleft() for _ in range(fresh)])
                num_queued += fresh
            if not finished:
                if engine is None or num_queued == 0:
                    break
                finished = engine.poll()
                assert finished, "the engine finished nothing although requests are queued"
                journal.record(finished)
                num_queued -= len(finished)
            source.tell(finished)
            cost += Cost.of(finished)
            bar.update(source.num_done - bar.n)
    return cost


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python's collector of cycles wait for more objects than are in flight.

    Those end without its help; left at 700 objects, it looks at each of them several times.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(100_000, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Grade(NamedTuple):
    """What a completion answers, whether that is correct, and how the verdict was reached."""

    answer: str | None
    is_correct: bool
    reason: str


class Grader:
    """Grades completions against gold answers, each distinct pair of answers once in its life."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, str | None], Verdict] = {}

    def grade(
        self, golds: Sequence[str], texts: Sequence[str], finish_reasons: Sequence[str]
    ) -> list[Grade]:
        """Return the grades of completions, in order.

        A completion that is an error, was cut at its token limit or names no answer is
        incorrect, ``missing``.
        """
        completions = list(zip(golds, texts, finish_reasons, strict=True))
        distinct = dict.fromkeys(completions)
        pairs = [
            (gold, extract_answer(text) if finish_reason in COMPLETE else None)
            for gold, text, finish_reason in distinct
        ]
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self._verdicts]
        self._verdicts.update(zip(fresh, grade_pairs(fresh), strict=True))
        grades = {}
        for completion, pair in zip(distinct, pairs, strict=True):
            verdict = self._verdicts[pair]
            grades[completion] = Grade(pair[1], verdict.correct, verdict.reason)
        return [grades[completion] for completion in completions]


def grade_completions(frame: pl.DataFrame, gold: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with the columns answer, is_correct and grade_reason (:class:`Grade`).

    Takes problem_id, text and finish_reason, and ``gold``: problem_id, gold_answer.
    """
    joined = frame.join(
        gold.select("problem_id", "gold_answer"),
        on="problem_id",
        how="left",
        maintain_order="left",
    )
    assert joined["gold_answer"].null_count() == 0
    columns = (joined[name].to_list() for name in ("gold_answer", "text", "finish_reason"))
    grades = Grader().grade(*columns)
    return frame.with_columns(
        pl.Series("answer", [grade.answer for grade in grades], dtype=pl.String),
        pl.Series("is_correct", [grade.is_correct for grade in grades], dtype=pl.Boolean),
        pl.Series("grade_reason", [grade.reason for grade in grades], dtype=pl.String),
    )
