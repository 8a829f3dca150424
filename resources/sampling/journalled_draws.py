"""Draw completions through an engine and a journal, so that no finished request is drawn twice."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import polars as pl

from resources.sampling.cost import Cost
from resources.sampling.drawing_bar import DrawingBar
from resources.sampling.request_source import RequestSource
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.journal import Journal, open_journal
from shepherd.dependencies import Fingerprint
from shepherd.requests import REQUESTS, Engine

BLOCK = 1024
"""The most requests to look up among earlier completions at a time, before an engine is open."""


def draw_completions(
    open_engine: Callable[[], Engine],
    source: RequestSource,
    journal_path: Path,
    *,
    fingerprint: Fingerprint,
    description: str,
    earlier: pl.DataFrame | None = None,
    files: HomeFiles = LOCAL,
) -> Cost:
    """Draw the requests of the source, and return the cost of all their completions.

    Requests that the journal or ``earlier`` (``COMPLETIONS`` of the same fingerprint) holds are not
    drawn again, errors included. So the source receives the same completions however often earlier
    runs were killed. Up to twice the engine's capacity is queued. The engine is opened only if a
    request must be drawn. The journal stays: the caller removes it once the result is written.

    Raises:
        ValueError: another run has the journal open: wait until that run ends, or end it. Or the
            home is in a store that is out of reach.
    """
    cost = Cost()
    with (
        open_journal(journal_path, fingerprint, files) as journal,
        ExitStack() as stack,
        DrawingBar(description, source) as bar,
    ):
        earlier_completions = EarlierCompletions.of(journal, earlier)
        engine, num_queued = None, 0
        waiting = REQUESTS.to_frame()
        while True:
            count = BLOCK if engine is None else 2 * engine.capacity - num_queued - waiting.height
            requests = source.take(max(0, count)).select(REQUESTS.names())
            finished, unfinished = earlier_completions.take(requests)
            waiting = pl.concat([waiting, unfinished])
            if waiting.height:
                if engine is None:
                    bar.opening()
                    engine = stack.enter_context(closing(open_engine()))
                    bar.opened(engine.capacity)
                block = waiting.head(2 * engine.capacity - num_queued)
                waiting = waiting.slice(block.height)
                engine.add(block)
                num_queued += block.height
                bar.queued(num_queued)
            if not finished.height:
                if num_queued == 0:
                    break
                assert engine is not None
                finished = _poll_batch(engine, num_queued, journal, bar)
                num_queued -= finished.height
            source.add_completions(finished)
            cost += Cost.of(finished)
            bar.advance()
    return cost


def _poll_batch(engine: Engine, num_queued: int, journal: Journal, bar: DrawingBar) -> pl.DataFrame:
    """Poll until at least an eighth of the running requests has finished; journal each at once.

    A source needs milliseconds for a block of any size, so that small blocks would be slow. The
    engine's queue holds enough requests to keep it busy until the source has answered.
    """
    blocks: list[pl.DataFrame] = []
    num_missing = max(1, min(engine.capacity, num_queued) // 8)
    while num_missing > 0:
        block = engine.poll()
        assert block.height, "the engine finished nothing although requests are queued"
        journal.record(block)
        bar.drawn(block)
        blocks.append(block)
        num_missing -= block.height
    return pl.concat(blocks)


class EarlierCompletions:
    """Completions of earlier runs. If a request id repeats, the last completion counts."""

    def __init__(self, completions: pl.DataFrame) -> None:
        self._completions = completions
        self._rows = {request_id: row for row, request_id in enumerate(completions["request_id"])}

    @classmethod
    def of(cls, journal: Journal, earlier: pl.DataFrame | None) -> "EarlierCompletions":
        """Join the completions of ``earlier`` with those of a journal, which come last."""
        parts = [] if earlier is None else [earlier]
        return cls(pl.concat([*parts, journal.completions]))

    def take(self, requests: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the completions of ``requests`` that are here, and the requests that are not.

        A completion is given out once.
        """
        if not self._rows:
            return self._completions.clear(), requests
        rows = [self._rows.pop(request_id, None) for request_id in requests["id"]]
        is_unfinished = pl.Series([row is None for row in rows], dtype=pl.Boolean)
        finished = self._completions[[row for row in rows if row is not None]]
        return finished, requests.filter(is_unfinished)
