"""Decide which requests to draw next: all of a list, or what a scheduler asks for."""

from typing import Protocol

import polars as pl

from resources.storage.growing_frame import GrowingFrame
from shepherd.requests import COMPLETIONS, REQUESTS


class RequestSource(Protocol):
    """Gives out requests and takes in their completions."""

    unit: str
    """The unit of ``num_done`` and ``total``, as the progress bar shows it."""

    total: int
    """The number of units to finish."""

    @property
    def num_done(self) -> int:
        """The number of finished units."""
        ...

    @property
    def num_left(self) -> int | None:
        """About how many requests will still finish; null while nothing says so."""
        ...

    def take(self, count: int) -> pl.DataFrame:
        """Return up to ``count`` requests to draw now; none while it waits, or at the end.

        They are ``REQUESTS``, with or without further columns.
        """
        ...

    def add_completions(self, completions: pl.DataFrame) -> None:
        """Take in the ``COMPLETIONS`` of finished requests."""
        ...


REQUEST_RESULTS = pl.Schema(
    {name: COMPLETIONS[name] for name in ("request_id", "text", "finish_reason", "num_tokens")}
)
"""The columns of completions that rows are made from; costs are added up elsewhere."""


class RequestList:
    """A source whose requests are known beforehand; they may have further columns."""

    unit = "completion"

    def __init__(self, requests: pl.DataFrame) -> None:
        assert requests["id"].n_unique() == requests.height, "request ids repeat"
        self.total = requests.height
        self.num_done = 0
        self._requests = requests
        self._num_taken = 0
        self._finished = GrowingFrame(REQUEST_RESULTS)

    @property
    def num_left(self) -> int:
        """The number of requests that are not finished."""
        return self.total - self.num_done

    def take(self, count: int) -> pl.DataFrame:
        """Return the next ``count`` requests."""
        requests = self._requests.slice(self._num_taken, count)
        self._num_taken += requests.height
        return requests

    def add_completions(self, completions: pl.DataFrame) -> None:
        """Keep the results of finished requests."""
        self._finished.add(completions)
        self.num_done += completions.height

    def results(self) -> pl.DataFrame:
        """Return the requests' ids, seeds, further columns and ``REQUEST_RESULTS``, in order."""
        requests = self._requests.drop(set(REQUESTS) - {"id", "seed"})
        return with_completions(requests, self._finished.frame())


def with_completions(requests: pl.DataFrame, completions: pl.DataFrame) -> pl.DataFrame:
    """Return requests, in their order, with the columns of their completions."""
    in_order = completions
    # The completions of a finished stage come in the order of the requests: no join is needed.
    if not requests["id"].equals(completions["request_id"]):
        # Joining hashes of ids, and no other columns, takes half the time of joining strings.
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
        in_order = completions[rows["index"]]
    return pl.concat([requests, in_order.drop("request_id")], how="horizontal")
