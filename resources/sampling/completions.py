"""Draw completions through an engine and a journal, and grade what was drawn."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass
from operator import add
from pathlib import Path
from typing import Protocol

import polars as pl
from tqdm import tqdm

from resources.grading import Verdict, grade_pairs
from resources.sampling.growing_frame import GrowingFrame
from resources.storage.journal import Fingerprint, Journal, open_journal
from shepherd.answers import extract_answer
from shepherd.requests import COMPLETIONS, REQUESTS, Engine

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
    def of(cls, completions: pl.DataFrame) -> "Cost":
        """Add up; completions read back from a journal count as when they were drawn."""
        return cls(
            completions.height,
            int(completions["prompt_tokens"].sum()),
            int(completions["cached_tokens"].sum()),
            int(completions["num_tokens"].sum()),
            float(completions["seconds"].sum()),
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

    def take(self, count: int) -> pl.DataFrame:
        """Return up to ``count`` requests to draw now; none while it waits, or at the end.

        They are ``REQUESTS``, with or without columns beside them.
        """
        ...

    def tell(self, completions: pl.DataFrame) -> None:
        """Take in the ``COMPLETIONS`` of what finished."""
        ...


TOLD = pl.Schema(
    {name: COMPLETIONS[name] for name in ("request_id", "text", "finish_reason", "num_tokens")}
)
"""What is kept of completions once they are counted."""


class Fixed:
    """Requests that are known beforehand, in their order; other columns may stand beside them."""

    unit = "completion"

    def __init__(self, requests: pl.DataFrame) -> None:
        assert requests["id"].n_unique() == requests.height, "request ids repeat"
        self.total = requests.height
        self.num_done = 0
        self._requests = requests
        self._num_taken = 0
        self._finished = GrowingFrame(TOLD)

    def take(self, count: int) -> pl.DataFrame:
        """Return the next ``count`` requests."""
        taken = self._requests.slice(self._num_taken, count)
        self._num_taken += taken.height
        return taken

    def tell(self, completions: pl.DataFrame) -> None:
        """Keep what finished."""
        self._finished.add(completions)
        self.num_done += completions.height

    def drawn(self) -> pl.DataFrame:
        """Return what came of the requests, in their order.

        Beside id, seed and what stood beside the requests: the columns of ``TOLD``.
        """
        asked = self._requests.drop("prompt", "temperature", "max_tokens", "stop")
        return with_completions(asked, self._finished.frame())


def with_completions(requests: pl.DataFrame, completions: pl.DataFrame) -> pl.DataFrame:
    """Return requests, in their order, with the columns of what came of each."""
    found = completions
    # Rollouts that are all there already come in order: to find millions of ids takes a while.
    if not requests["id"].equals(completions["request_id"]):
        # Only ids are joined, by their hashes: strings and other columns take twice as long.
        rows = (
            requests.select("id", key=pl.col("id").hash())
            .join(
                completions.select("request_id", key=pl.col("request_id").hash()).with_row_index(),
                on="key",
                maintain_order="left",
            )
            .filter(pl.col("id") == pl.col("request_id"))
        )
        assert rows.height == requests.height == completions.height
        found = completions[rows["index"]]
    return pl.concat([requests, found.drop("request_id")], how="horizontal")


BLOCK = 1024
"""Requests that are looked up in the journal at a time, before an engine is open."""


def sample(
    open_engine: Callable[[], Engine],
    source: Source,
    journal_path: Path,
    *,
    fingerprint: Fingerprint,
    description: str,
    earlier: pl.DataFrame | None = None,
) -> Cost:
    """Draw what the source asks for and tell it, taking from the journal what that holds.

    ``earlier`` are completions of the same fingerprint: they are not drawn again.

    Twice the engine's capacity is kept queued. What the source is told does not depend on how
    often earlier runs were killed. The engine is opened only if something is left to draw. The
    journal stays, for the caller to remove once the result is written elsewhere.

    Raises:
        ValueError: another run has the journal open.
    """
    cost = Cost()
    with (
        open_journal(journal_path, fingerprint) as journal,
        ExitStack() as stack,
        tqdm(desc=description, total=source.total, unit=source.unit, mininterval=1.0) as bar,
    ):
        held = Held(journal.found if earlier is None else pl.concat([earlier, journal.found]))
        engine, num_queued = None, 0
        waiting = REQUESTS.to_frame()
        while True:
            room = BLOCK if engine is None else 2 * engine.capacity - num_queued - waiting.height
            finished, fresh = held.take(source.take(max(0, room)).select(REQUESTS.names()))
            waiting = pl.concat([waiting, fresh])
            if waiting.height:
                engine = engine or stack.enter_context(closing(open_engine()))
                block = waiting.head(2 * engine.capacity - num_queued)
                waiting = waiting.slice(block.height)
                engine.add(block)
                num_queued += block.height
            if not finished.height:
                if num_queued == 0:
                    break
                assert engine is not None
                finished = _finish_some(engine, num_queued, journal)
                num_queued -= finished.height
            source.tell(finished)
            cost += Cost.of(finished)
            bar.update(source.num_done - bar.n)
    return cost


def _finish_some(engine: Engine, num_queued: int, journal: Journal) -> pl.DataFrame:
    """Return completions, journalled as they finish: an eighth of those that run, or more.

    To tell a source takes milliseconds, however few there are; meanwhile as many requests as run
    still wait in the engine's queue.
    """
    finished: list[pl.DataFrame] = []
    left = max(1, min(engine.capacity, num_queued) // 8)
    while left > 0:
        polled = engine.poll()
        assert polled.height, "the engine finished nothing although requests are queued"
        journal.record(polled)
        finished.append(polled)
        left -= polled.height
    return pl.concat(finished)


class Held:
    """Completions that are there already. Of those with one request id the last counts."""

    def __init__(self, completions: pl.DataFrame) -> None:
        self._completions = completions
        self._rows = {name: row for row, name in enumerate(completions["request_id"])}

    def take(self, requests: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the completions that are here, each given once, and the other requests."""
        if not self._rows:
            return self._completions.clear(), requests
        rows = [self._rows.pop(name, None) for name in requests["id"]]
        is_fresh = pl.Series([row is None for row in rows], dtype=pl.Boolean)
        found = self._completions[[row for row in rows if row is not None]]
        return found, requests.filter(is_fresh)


class Grader:
    """Grades completions against gold answers, each distinct pair of answers once in its life."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, str | None], Verdict] = {}

    def grade(self, completions: pl.DataFrame) -> pl.DataFrame:
        """Return ``completions`` with the columns answer, is_correct and grade_reason.

        Takes gold_answer, text and finish_reason. A completion that is an error, was cut at its
        token limit or names no answer is incorrect, ``missing``.
        """
        keys = ("gold_answer", "text", "finish_reason")
        distinct = (
            completions.select(keys)
            .with_row_index("rows")
            .group_by(keys, maintain_order=True)
            .agg("rows")
        )
        pairs = [
            (gold, extract_answer(text) if finish_reason in COMPLETE else None)
            for gold, text, finish_reason in distinct.select(keys).iter_rows()
        ]
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self._verdicts]
        self._verdicts.update(zip(fresh, grade_pairs(fresh), strict=True))
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
        """Say of gold answers, texts and finish reasons which texts are right."""
        columns = {"gold_answer": golds, "text": texts, "finish_reason": finish_reasons}
        graded = self.grade(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)))
        return graded["is_correct"].to_list()


def grade_completions(frame: pl.DataFrame, gold: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with the columns answer, is_correct and grade_reason (:class:`Grader`).

    Takes problem_id, text and finish_reason, and ``gold``: problem_id, gold_answer.
    """
    joined = frame.join(
        gold.select("problem_id", "gold_answer"),
        on="problem_id",
        how="left",
        maintain_order="left",
    )
    assert joined["gold_answer"].null_count() == 0
    return Grader().grade(joined).drop("gold_answer")
