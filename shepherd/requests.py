"""The engine protocol: blocks of requests in, blocks of completions out, in any order.

A block is a frame, as requests come by the million: what is done to each of them is done to its
column. :class:`Request` and :class:`Completion` are the rows, for who takes them one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

REQUESTS = pl.Schema(
    {
        "id": pl.String(),
        "prompt": pl.String(),
        "seed": pl.Int64(),
        "temperature": pl.Float64(),
        "max_tokens": pl.Int64(),
        "stop": pl.String(),
    }
)
COMPLETIONS = pl.Schema(
    {
        "request_id": pl.String(),
        "text": pl.String(),
        "finish_reason": pl.String(),
        "prompt_tokens": pl.Int64(),
        "cached_tokens": pl.Int64(),
        "num_tokens": pl.Int64(),
        "seconds": pl.Float64(),
        "error": pl.String(),
    }
)


class Request(NamedTuple):
    """One completion to draw: a row of ``REQUESTS``.

    The same ``prompt`` may stand in many requests: engines compute its prefill once.
    ``max_tokens`` counts new tokens, the stop token included. With ``stop`` a completion also
    ends after the first place where its text holds that string.
    """

    id: str
    prompt: str
    seed: int
    temperature: float
    max_tokens: int
    stop: str | None = None


class Completion(NamedTuple):
    """What came of a request: a row of ``COMPLETIONS``.

    ``text`` continues the prompt and excludes the stop token. It includes the request's ``stop``
    string, and ends with it if and only if that ended it.

    ``finish_reason`` is ``stop``, ``length`` or ``error`` (then ``error`` says why and the
    text is empty). ``seconds`` is this request's share of the engine's wall-clock time, so
    that the sum over requests is the time the engine worked.
    """

    request_id: str
    text: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    num_tokens: int
    seconds: float
    error: str | None = None


class Engine(Protocol):
    """Draws completions. Requests may be added while others run."""

    capacity: int
    """How many requests keep the engine busy; a caller keeps about twice that many queued."""

    def add(self, requests: pl.DataFrame) -> None:
        """Queue ``REQUESTS``. Never blocks on the model."""
        ...

    def poll(self) -> pl.DataFrame:
        """Work until at least one request finishes and return the ``COMPLETIONS`` there are.

        Without rows if none is queued.
        """
        ...

    def close(self) -> None:
        """Free the model's memory. Queued requests are dropped."""
        ...


def numbered_requests(
    asked: pl.DataFrame,
    seeds: NDArray[np.int64],
    *,
    numbers: str,
    temperature: float,
    max_tokens: int,
) -> pl.DataFrame:
    """Return ``REQUESTS`` beside the columns of ``asked``: one for each of a row's ``numbers``.

    ``asked`` has prompts, and ids of its own as its first column; those of the requests are
    ``<id>:<number>``. ``seeds`` is (rows of ``asked``, numbers from 0).
    """
    rows = asked.with_row_index("row").explode(numbers)
    return rows.select(
        *asked.columns,
        id=pl.format("{}:{}", asked.columns[0], numbers),
        seed=pl.Series(seeds[rows["row"], rows[numbers]], dtype=pl.Int64),
        temperature=pl.lit(temperature, pl.Float64),
        max_tokens=pl.lit(max_tokens, pl.Int64),
        stop=pl.lit(None, pl.String),
    )


def request_block(requests: Iterable[Request]) -> pl.DataFrame:
    """Return requests as a block."""
    return pl.DataFrame(list(requests), schema=REQUESTS, orient="row")


def request_rows(block: pl.DataFrame) -> Iterator[Request]:
    """Yield the requests of a block."""
    return map(Request._make, block.select(REQUESTS.names()).iter_rows())


def completion_block(completions: Iterable[Completion]) -> pl.DataFrame:
    """Return completions as a block."""
    return pl.DataFrame(list(completions), schema=COMPLETIONS, orient="row")


def completion_rows(block: pl.DataFrame) -> Iterator[Completion]:
    """Yield the completions of a block."""
    return map(Completion._make, block.select(COMPLETIONS.names()).iter_rows())


def draw_all(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    """Return what comes of requests through an engine that has no others, in their order."""
    engine.add(request_block(requests))
    drawn: dict[str, Completion] = {}
    while len(drawn) < len(requests):
        finished = engine.poll()
        assert finished.height, "the engine finished nothing although requests are queued"
        drawn.update((one.request_id, one) for one in completion_rows(finished))
    return [drawn[request.id] for request in requests]
