"""Keep an engine open for the next stage of this process that draws from the same weights.

Opening vLLM takes about a minute, and a stage of one shard may take ten.
"""

import atexit
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from shepherd.dependencies import Fingerprint
from shepherd.requests import Engine
from shepherd.settings import EngineSettings


@dataclass(frozen=True)
class Weights:
    """What must be equal for an engine to serve again."""

    settings: EngineSettings
    checkpoint: str
    fingerprint: Fingerprint


@dataclass(frozen=True)
class _Kept:
    weights: Weights
    engine: Engine


_kept: list[_Kept] = []
"""The engine that no stage uses at the moment, or nothing."""


class KeptEngine:
    """Passes everything to an engine, and keeps it open when the stage closes it.

    An engine with unfinished requests is really closed: its stage was interrupted or failed.
    """

    def __init__(self, weights: Weights, engine: Engine) -> None:
        self.capacity = engine.capacity
        self._weights, self._engine = weights, engine
        self._num_open = 0

    def add(self, requests: pl.DataFrame) -> None:
        self._num_open += requests.height
        self._engine.add(requests)

    def poll(self) -> pl.DataFrame:
        completions = self._engine.poll()
        self._num_open -= completions.height
        return completions

    def close(self) -> None:
        if self._num_open:
            self._engine.close()
            return
        assert not _kept, "opening an engine takes the kept one out"
        _kept.append(_Kept(self._weights, self._engine))


def kept_engine(weights: Weights, open_anew: Callable[[], Engine]) -> KeptEngine:
    """Return the kept engine if it has the same weights; otherwise close it and open another.

    Raises:
        ValueError: ``open_anew`` does.
    """
    if _kept and _kept[0].weights == weights:
        return KeptEngine(weights, _kept.pop().engine)
    close_kept_engine()
    return KeptEngine(weights, open_anew())


@atexit.register
def close_kept_engine() -> None:
    """Free the memory of the kept engine. Call it before another model is loaded."""
    while _kept:
        _kept.pop().engine.close()
