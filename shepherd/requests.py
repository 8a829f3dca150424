"""The engine protocol: blocks of requests in, blocks of completions out, in any order.

A block is a frame, because there are millions of requests, and columns are faster than objects.
:class:`Request` and :class:`Completion` are its rows, for code that handles them one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shepherd.thoughts import ends_in_thought, opening_of, thought_end

REQUESTS = pl.Schema(
    {
        "id": pl.String(),
        "prompt": pl.String(),
        "seed": pl.Int64(),
        "temperature": pl.Float64(),
        "max_tokens": pl.Int64(),
        "stop": pl.List(pl.String()),
        "keep_stop": pl.Boolean(),
        "top_p": pl.Float64(),
        "prefix_length": pl.Int64(),
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
        "thought_tokens": pl.Int64(),
    }
)


class Request(NamedTuple):
    """One completion to draw: a row of ``REQUESTS``.

    Many requests may have the same ``prompt``: engines compute its prefill once. ``max_tokens``
    counts new tokens, including the stop token. A completion also ends where its text holds one of
    the strings ``stop``, none of which is part of another. ``top_p`` is the share of the
    probability from which tokens are drawn, the likeliest first (nucleus sampling,
    arXiv 1904.09751). The last ``prefix_length`` characters of ``prompt`` belong to the answer that
    is to be continued: a chat server receives them as the assistant's turn, and what is before them
    as the user's.
    """

    id: str
    prompt: str
    seed: int
    temperature: float
    max_tokens: int
    stop: tuple[str, ...] = ()
    keep_stop: bool = False
    """Whether the stop string that ended a text stays at its end."""
    top_p: float = 1.0
    prefix_length: int = 0

    @property
    def question(self) -> str:
        """The prompt without the beginning of the answer."""
        return self.prompt[: len(self.prompt) - self.prefix_length]

    @property
    def prefix(self) -> str:
        """The beginning of the answer."""
        return self.prompt[len(self.prompt) - self.prefix_length :]

    def summary_start(self, text: str) -> int:
        """Return where the summary of a completion begins: behind its last thought."""
        is_opened = bool(opening_of(self.question))
        begins_in_thought = ends_in_thought(self.prefix, begins_in_thought=is_opened)
        return thought_end(text, begins_in_thought=begins_in_thought)

    def ended(self, text: str) -> str:
        """Return a text up to the first stop string that it holds, without it or with it."""
        starts = [(text.index(stop), stop) for stop in self.stop if stop in text]
        if not starts:
            return text
        start, stop = min(starts)
        return text[: start + len(stop) if self.keep_stop else start]


class Completion(NamedTuple):
    """The result of a request: a row of ``COMPLETIONS``.

    ``text`` continues the prompt, without the stop token. If a stop string ended it, it is cut
    before that string. With ``keep_stop`` it ends with a stop string if and only if that ended it.

    ``finish_reason`` is ``stop``, ``length`` or ``error``; after an error ``error`` says why, and
    the text is empty. ``seconds`` is the request's share of the engine's wall-clock time: the
    shares of all requests add up to the time in which the engine worked.

    ``thought_tokens`` are those of ``num_tokens`` that were drawn inside a thought, its closing tag
    included. Servers that do not count them have their number from the share of the characters.
    """

    request_id: str
    text: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    num_tokens: int
    seconds: float
    error: str | None = None
    thought_tokens: int = 0


class Engine(Protocol):
    """Draws completions. Callers may add requests while others run."""

    capacity: int
    """Number of requests that keep the engine busy. Callers queue about twice as many."""

    def add(self, requests: pl.DataFrame) -> None:
        """Queue ``REQUESTS``. Never blocks on the model."""
        ...

    def poll(self) -> pl.DataFrame:
        """Work until at least one request finishes; return the finished ``COMPLETIONS``.

        There are no rows if no request is queued.
        """
        ...

    def close(self) -> None:
        """Free the model's memory. Queued requests are dropped."""
        ...


def numbered_requests(
    prompts: pl.DataFrame,
    seeds: NDArray[np.int64],
    *,
    numbers: str,
    temperature: float,
    max_tokens: int,
) -> pl.DataFrame:
    """Return a request for each row of ``prompts`` and each number of its list ``numbers``.

    The first column of ``prompts`` holds ids; the ids of the requests are ``<id>:<number>``. The
    result has the columns of ``prompts`` and those of ``REQUESTS``, without stop strings and with
    a ``top_p`` of 1. ``seeds`` is (rows of ``prompts``, numbers from 0). Without a column
    ``prefix_length`` all answers begin empty.
    """
    if "prefix_length" not in prompts.columns:
        prompts = prompts.with_columns(prefix_length=pl.lit(0, pl.Int64))
    rows = prompts.with_row_index("row").explode(numbers)
    return rows.select(
        *prompts.columns,
        id=pl.format("{}:{}", prompts.columns[0], numbers),
        seed=pl.Series(seeds[rows["row"], rows[numbers]], dtype=pl.Int64),
        temperature=pl.lit(temperature, pl.Float64),
        max_tokens=pl.lit(max_tokens, pl.Int64),
        stop=pl.lit([], REQUESTS["stop"]),
        keep_stop=pl.lit(False),
        top_p=pl.lit(1.0, pl.Float64),
    )


def request_block(requests: Iterable[Request]) -> pl.DataFrame:
    """Return requests as a block."""
    return pl.DataFrame(list(requests), schema=REQUESTS, orient="row")


def request_rows(block: pl.DataFrame) -> Iterator[Request]:
    """Yield the requests of a block."""
    for row in block.select(REQUESTS.names()).iter_rows():
        request = Request._make(row)
        yield request._replace(stop=tuple(request.stop))


def completion_block(completions: Iterable[Completion]) -> pl.DataFrame:
    """Return completions as a block."""
    return pl.DataFrame(list(completions), schema=COMPLETIONS, orient="row")


def completion_rows(block: pl.DataFrame) -> Iterator[Completion]:
    """Yield the completions of a block."""
    return map(Completion._make, block.select(COMPLETIONS.names()).iter_rows())


def draw_all(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    """Return the completions of requests in their order, from an engine without other requests."""
    engine.add(request_block(requests))
    drawn: dict[str, Completion] = {}
    while len(drawn) < len(requests):
        finished = engine.poll()
        assert finished.height, "the engine finished nothing although requests are queued"
        drawn.update((one.request_id, one) for one in completion_rows(finished))
    return [drawn[request.id] for request in requests]
