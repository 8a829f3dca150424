"""Draw completions through an engine and a journal, so that no finished request is drawn twice."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import polars as pl
from tqdm import tqdm

from resources.sampling.cost import Cost
from resources.sampling.request_source import RequestSource
from resources.storage.journal import Journal, open_journal
from shepherd.dependencies import Fingerprint
from shepherd.requests import REQUESTS, Engine

BLOCK = 1024
"""Requests that are looked up in the journal at a time, before an engine is open."""


def draw_completions(
    open_engine: Callable[[], Engine],
    source: RequestSource,
    journal_path: Path,
    *,
    fingerprint: Fingerprint,
    description: str,
    earlier: pl.DataFrame | None = None,
) -> Cost:
    """Draw what the source asks for, and return the cost.

    Completions of the journal and of ``earlier``, which have the same fingerprint, are not drawn
    again. Twice the engine's capacity is kept queued. What the source gets does not depend on
    how often earlier runs were killed. The engine is opened only if a request is left to draw.
    The journal stays: the caller removes it once the result is written elsewhere.

    Raises:
        ValueError: another run has the journal open.
    """
    cost = Cost()
    with (
        open_journal(journal_path, fingerprint) as journal,
        ExitStack() as stack,
        tqdm(desc=description, total=source.total, unit=source.unit, mininterval=1.0) as bar,
    ):
        finished_before = FinishedCompletions.of(journal, earlier)
        engine, num_queued = None, 0
        waiting = REQUESTS.to_frame()
        while True:
            room = BLOCK if engine is None else 2 * engine.capacity - num_queued - waiting.height
            requests = source.take(max(0, room)).select(REQUESTS.names())
            finished, unfinished = finished_before.take(requests)
            waiting = pl.concat([waiting, unfinished])
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
            source.add_completions(finished)
            cost += Cost.of(finished)
            bar.update(source.num_done - bar.n)
    return cost


def _finish_some(engine: Engine, num_queued: int, journal: Journal) -> pl.DataFrame:
    """Return completions, journalled as they finish: an eighth of the running ones, or more.

    A source takes milliseconds for a block, however small it is. Meanwhile as many requests as
    run wait in the engine's queue.
    """
    blocks: list[pl.DataFrame] = []
    num_missing = max(1, min(engine.capacity, num_queued) // 8)
    while num_missing > 0:
        block = engine.poll()
        assert block.height, "the engine finished nothing although requests are queued"
        journal.record(block)
        blocks.append(block)
        num_missing -= block.height
    return pl.concat(blocks)


class FinishedCompletions:
    """Completions of earlier runs. Where a request id repeats, the last completion counts."""

    def __init__(self, completions: pl.DataFrame) -> None:
        self._completions = completions
        self._rows = {name: row for row, name in enumerate(completions["request_id"])}

    @classmethod
    def of(cls, journal: Journal, earlier: pl.DataFrame | None) -> "FinishedCompletions":
        """Join the completions of ``earlier`` with those of a journal, which come last."""
        parts = [] if earlier is None else [earlier]
        return cls(pl.concat([*parts, journal.completions]))

    def take(self, requests: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the completions of finished requests, each once, and the unfinished requests."""
        if not self._rows:
            return self._completions.clear(), requests
        rows = [self._rows.pop(name, None) for name in requests["id"]]
        is_unfinished = pl.Series([row is None for row in rows], dtype=pl.Boolean)
        finished = self._completions[[row for row in rows if row is not None]]
        return finished, requests.filter(is_unfinished)
